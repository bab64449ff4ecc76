// Package proxy is the data plane: it accepts HTTP requests, finds the app by the
// host they ask for, chooses a healthy instance and passes the request on, both
// ways unbuffered. Its table is immutable and swapped whole behind one atomic
// pointer, so a change of one site is seen by the next request and touches no
// other site. It knows nothing of the store or of containers: it is told routes
// (SetShard), it asks for addresses (Config.Resolve), and it empties instances
// that must go (Drain).
//
// A request passes through these files: conn.go (the client's connection and how
// slow it may be), proxy.go (the server), exchange.go (one request and what
// becomes of it), serve.go (the attempts to have it answered), host.go, index.go,
// table.go and routes.go (whose it is), balance.go and backend.go (which instance),
// forward.go (the way there and back; the one file to replace for a faster
// forwarder), headers.go and upload.go (what is said on the way), pages.go (what
// visitors see when it fails), outcome.go, record.go and access.go (what is written
// down). ending.go is how octohost itself ends without losing any.
//
// # What apps can rely on
//
// The method, the target, the Host and the body arrive as the client sent them.
// X-Forwarded-For, -Host and -Proto and X-Request-Id are the proxy's own word: what
// a client claims in them, in X-Real-Ip, in any other X-Forwarded header, or in
// spellings with underscores, is taken out, unless the client is a trusted peer.
// Forwarded (RFC 7239) is always taken out, so that there is one spelling of the
// truth, and Proxy, which would become HTTP_PROXY. No Via is added: some servers
// stop compressing when they see one. An offer to upgrade to h2c is not passed on,
// for what is said inside would pass these rules by; WebSocket and other upgrades
// are.
//
// A request that reached an app is not sent a second time, but for one case: a kept
// connection that the app closed before it answered, and a method that may be
// repeated. An app that restarts within two seconds loses no request that had not
// reached it: such requests wait (Limits.Hold).
//
// A body that trickles, the other way of keeping a connection forever, is cut
// (Limits.UploadWindow); those who want to talk slowly use a WebSocket. A request
// that came in chunks is the last one on its connection, since net/http hides
// whether it had a Content-Length too.
//
// The access log has the path of a request and never its query.
package proxy
