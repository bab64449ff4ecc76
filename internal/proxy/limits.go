package proxy

import (
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// Limits bound what one visitor or one app may cost the others. A zero field
// takes its default.
type Limits struct {
	// Connections is how many client connections may be open at one time; 0 means no
	// limit. Further ones wait in the listener's queue.
	Connections int

	// HeaderTimeout is how long a client may take to send the header of a request
	// (default 10 s), HeaderBytes how long that header may be (default 64 KiB; more
	// is answered 431), IdleTimeout how long a connection may be silent between
	// requests (default 75 s).
	HeaderTimeout time.Duration
	HeaderBytes   int
	IdleTimeout   time.Duration

	// UploadWindow and UploadBytes are the least progress of a request body: in every
	// UploadWindow (default 30 s) that the proxy spends waiting for the client, at
	// least UploadBytes (default 4 KiB) must arrive, else the request ends with 408.
	// Time during which the app does not take what was sent does not count. Upgraded
	// connections are not concerned.
	UploadWindow time.Duration
	UploadBytes  int64

	// WriteStall is how long a write to a client, or to an instance, may make no
	// headway (default 60 s). A stream that has nothing to send is not concerned.
	WriteStall time.Duration

	// DialTimeout is how long connecting to an instance may take (default 3 s).
	DialTimeout time.Duration
	// AnswerTimeout is how long an app may take from the end of the request to the
	// header of its answer (default 60 s), after which the visitor sees a 504, and
	// BodyBytes how long the body of a request may be (default: no limit), after which
	// they see a 413. An app's own octo.Edge goes before them, but never beyond Most.
	AnswerTimeout time.Duration
	BodyBytes     int64
	Most          octo.Edge
	// AnswerHeaderBytes is how long that header may be (default 256 KiB).
	AnswerHeaderBytes int64

	// Pooled is how many idle connections are kept per instance (default 128), and
	// PooledIdle for how long (default 1.5 s). The latter is shorter than the
	// keep-alive time of every common app server (gunicorn 2 s, Node and uvicorn 5 s),
	// so that the proxy, not the app, closes: a request never meets the app's FIN.
	Pooled     int
	PooledIdle time.Duration

	// Down is for how long an instance that could not be dialled is avoided while
	// there are others (default 5 s).
	Down time.Duration

	// Hold is how long a request waits for an app that is expected back at once
	// (default 2 s): one that was serving HoldAfter ago (default 30 s) or less. Held
	// is how many requests may wait at one time (default 1,000); more, and those of
	// apps that have been away for longer, are answered at once.
	Hold      time.Duration
	HoldAfter time.Duration
	Held      int

	// Shutdown is how long requests in flight may take when Run ends (default 10 s),
	// and before that streams, while others are still served. LastCall is for how long
	// kept connections may send another request then, before nobody is accepted any
	// more, and how long a stream may take that began meanwhile (default 2 s, at most
	// Shutdown).
	Shutdown time.Duration
	LastCall time.Duration

	// AccessBuffer is how many bytes of records of requests may wait for a slow writer
	// (default 4 MiB); further records are dropped and counted.
	AccessBuffer int
}

func (l Limits) withDefaults() Limits {
	set(&l.HeaderTimeout, 10*time.Second)
	set(&l.HeaderBytes, 64<<10)
	set(&l.IdleTimeout, 75*time.Second)
	set(&l.UploadWindow, 30*time.Second)
	set(&l.UploadBytes, 4<<10)
	set(&l.WriteStall, 60*time.Second)
	set(&l.DialTimeout, 3*time.Second)
	set(&l.AnswerTimeout, 60*time.Second)
	set(&l.AnswerHeaderBytes, 256<<10)
	set(&l.Pooled, 128)
	set(&l.PooledIdle, 1500*time.Millisecond)
	set(&l.Down, 5*time.Second)
	set(&l.Hold, 2*time.Second)
	set(&l.HoldAfter, 30*time.Second)
	set(&l.Held, 1000)
	set(&l.Shutdown, 10*time.Second)
	set(&l.LastCall, min(2*time.Second, l.Shutdown))
	set(&l.AccessBuffer, 4<<20)
	return l
}

func set[T comparable](field *T, otherwise T) {
	var zero T
	if *field == zero {
		*field = otherwise
	}
}
