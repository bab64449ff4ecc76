package proxy

import (
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
)

// The headers that say for whom the proxy asks.
const (
	headerFor   = "X-Forwarded-For"
	headerHost  = "X-Forwarded-Host"
	headerProto = "X-Forwarded-Proto"
)

// trust is the list of peers, such as a load balancer in front, whose word on where
// a request came from is taken over.
type trust []netip.Prefix

// peer returns the address of the other end of a connection, and whether it is
// trusted.
func (t trust) peer(remote string) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}, false
	}
	addr := ap.Addr().Unmap().WithZone("")
	for _, p := range t {
		if p.Contains(addr) {
			return addr, true
		}
	}
	return addr, false
}

// rewrite makes the outgoing request of an incoming one. What ReverseProxy has
// taken out (hop-by-hop headers by RFC 9110 §7.6.1, Forwarded) stays out; the
// target, the query and the Host go on exactly as the client sent them.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	out.URL.Scheme, out.URL.Host = "http", upstreamHost
	out.URL.Opaque = rawPath(in)
	out.URL.RawQuery = in.URL.RawQuery
	out.URL.User, out.URL.Fragment, out.URL.RawFragment = nil, "", ""
	out.Host = in.Host
	refuseH2C(out.Header)
	dropSpoofed(out.Header, x.trusted)
	x.setForwarded(out.Header, in)
	out.Header[headerID] = []string{x.id}
	if x.upload != nil {
		x.upload.trailer = out.Trailer
	}
}

// upstreamHost stands in URLs for the instance that a transport belongs to.
const upstreamHost = "instance"

// rawPath returns the path as it was sent, for the cases in which net/url would
// print it differently (a|b, a%2Fb|c), or nothing where it must be printed from
// its parts: an absolute target, one that would read as an authority, and one with
// a # that net/url escapes.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, "#") {
		return ""
	}
	return path
}

// refuseH2C takes out an offer to go on in HTTP/2: whatever was said inside such a
// tunnel would pass every rule of this file by. A server may ignore an Upgrade
// (RFC 9110 §7.8).
func refuseH2C(h http.Header) {
	if strings.HasPrefix(strings.ToLower(h.Get("Upgrade")), "h2c") {
		h.Del("Upgrade")
		h.Del("Connection")
		h.Del("Http2-Settings")
	}
}

// dropSpoofed takes out every header by which a client could claim to be somebody
// else. Names are compared as CGI, WSGI and Rack do, which tell - from _ no more.
func dropSpoofed(h http.Header, trusted bool) {
	for name := range h {
		if name[0] != 'X' && name[0] != 'F' && name[0] != 'P' {
			continue
		}
		plain := strings.ReplaceAll(name, "_", "-")
		if reserved(strings.ToLower(plain)) && (!trusted || plain != name || name == "Proxy") {
			delete(h, name)
		}
	}
}

// reserved reports whether only the proxy, or a trusted peer, may set a header.
// Proxy is never passed on: it would become HTTP_PROXY (CVE-2016-5385).
func reserved(name string) bool {
	switch name {
	case "forwarded", "proxy", "x-real-ip", "x-client-ip", "x-request-id":
		return true
	}
	return strings.HasPrefix(name, "x-forwarded-")
}

// setForwarded says for whom, which host and by which protocol. From a trusted peer
// its words are kept and its address is appended; anybody else's are replaced.
func (x *exchange) setForwarded(h http.Header, in *http.Request) {
	client, host, proto := "unknown", in.Host, x.scheme() // unknown is RFC 7239's word
	if x.peer.IsValid() {
		client = x.peer.String()
	}
	if x.trusted {
		if prior := in.Header[headerFor]; len(prior) > 0 {
			client = strings.Join(prior, ", ") + ", " + client
		}
		if v := in.Header.Get(headerHost); v != "" {
			host = v
		}
	}
	x.client = client
	h[headerFor], h[headerHost], h[headerProto] = []string{client}, []string{host}, []string{proto}
}

// scheme returns by which protocol the visitor came: where a trusted peer says so, to
// that peer.
func (x *exchange) scheme() string {
	if x.trusted {
		if v := strings.ToLower(x.in.Header.Get(headerProto)); v == "http" || v == "https" {
			return v
		}
	}
	if x.in.TLS != nil {
		return "https"
	}
	return "http"
}
