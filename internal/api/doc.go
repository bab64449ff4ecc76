// Package api is octohost's HTTP contract, server and client side by side.
//
// Requests and answers are JSON. Answers that take time, and those that go on
// (logs, events), are newline-delimited JSON frames, sent as they come. Errors
// carry their kind, so that errors.Is works on both sides of the wire.
//
// A door (the Unix socket, an SSH session) establishes who somebody is and hands
// their requests to [Server.Handler]. Every route names the [octo.Action] that it
// needs, and nothing runs before Config.Authorize has agreed to it.
package api
