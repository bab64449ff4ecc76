package daemon

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/octohost/octohost/internal/octo"
)

// accessLog is where the proxy writes a line for each request.
type accessLog struct {
	path string // "" for one that has no name to open it by again

	mu   sync.Mutex
	file *os.File
}

// openAccessLog opens the file that the settings name; "" means none, "-" means
// standard output.
func openAccessLog(path string) (*accessLog, error) {
	switch path {
	case "":
		return nil, nil
	case "-":
		return &accessLog{file: os.Stdout}, nil
	}
	f, err := openToAppend(path)
	if err != nil {
		return nil, octo.Errorf(octo.ErrInvalid, "cannot open the access log: %v", err)
	}
	return &accessLog{path: path, file: f}, nil
}

func openToAppend(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// Write appends whole lines.
func (a *accessLog) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file.Write(p)
}

// Close closes the file.
func (a *accessLog) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file.Close()
}

// reopen goes on in the file that has the name now: the one before was moved away. If
// that cannot be opened it goes on in the old one.
func (a *accessLog) reopen() error {
	if a.path == "" {
		return nil
	}
	f, err := openToAppend(a.path)
	if err != nil {
		return err
	}
	a.mu.Lock()
	old := a.file
	a.file = f
	a.mu.Unlock()
	return old.Close()
}

// watchReopen opens the access log again whenever somebody sends SIGUSR1, as nginx and
// Traefik do, until ctx is done.
func (a *accessLog) watchReopen(ctx context.Context, log *slog.Logger) error {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	defer signal.Stop(asked)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-asked:
			if a == nil {
				continue
			}
			if err := a.reopen(); err != nil {
				log.Warn("access log not opened again", "err", err)
			} else {
				log.Info("access log opened again", "file", a.path)
			}
		}
	}
}
