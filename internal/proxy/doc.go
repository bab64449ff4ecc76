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
// becomes of it), host.go and table.go (whose it is), balance.go (which instance),
// forward.go (the way there and back; the one file to replace for a faster
// forwarder), headers.go (what is said on the way), pages.go (what visitors see
// when it fails), access.go (what is written down).
package proxy
