package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// Client asks octohost. It has one method for each route of the API; their errors
// are what the server's side returned, of the same kind. A Client may be used by
// several goroutines.
type Client struct {
	// Version is sent along, so that the server can refuse one that would
	// misunderstand it. It may be empty.
	Version string

	http *http.Client
}

// patience is how long an answer that is not a stream may take. It covers a person
// who types a passphrase into ssh.
const patience = 2 * time.Minute

// NewClient returns a Client whose connections come from dial: a Unix socket, or
// whatever else an octohost answers at the end of. Errors of dial that are an
// *octo.Error reach the caller as they are.
func NewClient(dial func(ctx context.Context) (net.Conn, error)) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			return newLink(conn), nil
		},
		DisableCompression: true,
		MaxIdleConns:       1,
		IdleConnTimeout:    time.Minute,
	}}}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// send makes a request and returns its answer, which is a success; the caller
// closes its body. A body that is not nil is sent as JSON.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, explain(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	err = readError(resp)
	_ = resp.Body.Close() // it only failed to be read to its end
	return nil, err
}

func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://octo"+path, payload)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Version != "" {
		req.Header.Set(versionHeader, c.Version)
	}
	return req, nil
}

// explain puts the failure of a connection into words.
func explain(ctx context.Context, err error) error {
	var told *octo.Error
	switch {
	case errors.As(err, &told):
		return told
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return octo.Errorf(octo.ErrUnavailable, "octohost does not answer: %v", err).WithHint("is octo serve running?")
}

// ask makes a request whose answer is one JSON value, and reads it into out.
func (c *Client) ask(ctx context.Context, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience,
		octo.Errorf(octo.ErrTimeout, "octohost did not answer within %s", patience).WithHint("see how it is with: octo doctor"))
	defer cancel()
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return explain(ctx, err)
	}
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return err
}

// follow makes a request whose answer is progress, and copies that to out.
func (c *Client) follow(ctx context.Context, method, path string, body any, out io.Writer) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	for f, err := range readFrames(resp.Body) {
		if err != nil {
			return ended(ctx, err)
		}
		if _, err := io.WriteString(out, f.Text); err != nil {
			return err
		}
	}
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again; the answer is whole
	return nil
}

// watch makes a request whose answer is a stream of elements.
func watch[T any](ctx context.Context, c *Client, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		resp, err := c.send(ctx, http.MethodGet, path, nil)
		if err != nil {
			yield(zero, err)
			return
		}
		defer resp.Body.Close() //nolint:errcheck // it was only read
		for v, err := range items[T](resp.Body) {
			if err != nil {
				yield(zero, ended(ctx, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// ended tells a stream that its reader ended from one that broke off.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
