package webapp

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// handler answers:
//
//	/                 VERSION, with STATUS
//	/health           always 200
//	/status?code=503  that status
//	/slow?for=2s      headers at once, the body in the end
//	/late?for=2s      all of it late
//	/sse              an event every 100 ms (every=…), until the client leaves or n=… are out
//	/ws               WebSocket echo
//	/echo             method, path, headers and body of the request
//	/upload           the number of bytes received
//	/env              the environment
//	/file?path=…      a file of the container, such as /proc/self/status
//	/dial?addr=…      connects to host:port (within for=…) and says "ok", or why not
//	/raw              says whether a raw socket may be opened
//	/spawn?n=10       starts n threads and says how many it got
//	/exit?code=1      ends the process
//	/eat              eats memory until it is killed
//	/log?text=…       prints a line, to stderr with err=1; {id} in it is the request's id
//	/flood?for=1s     prints as fast as it can, and says how many lines that were
type handler struct {
	process Process
	mux     *http.ServeMux
	exit    chan int
}

func newHandler(p Process) *handler {
	h := &handler{process: p, mux: http.NewServeMux(), exit: make(chan int, 1)}
	for path, f := range map[string]http.HandlerFunc{
		"/": h.root, "/health": h.health, "/status": h.status, "/slow": h.slow, "/late": h.late, "/sse": h.sse, "/ws": h.websocket,
		"/echo": h.echo, "/upload": h.upload, "/env": h.env, "/file": h.file, "/dial": h.dial, "/raw": h.raw,
		"/spawn": h.spawn, "/exit": h.end, "/eat": h.eat, "/log": h.log, "/flood": h.flood,
	} {
		h.mux.HandleFunc(path, f)
	}
	return h
}

// ServeHTTP redirects to https where that is asked for.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.process.Getenv("REDIRECT_HTTPS") == "1" && r.Header.Get("X-Forwarded-Proto") != "https" {
		http.Redirect(w, r, "https://"+r.Host+r.URL.RequestURI(), http.StatusMovedPermanently)
		return
	}
	h.mux.ServeHTTP(w, r)
}

func (h *handler) root(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(number(h.process.Getenv("STATUS"), http.StatusOK))
	version := h.process.Getenv("VERSION")
	if version == "" {
		text, err := os.ReadFile("/version.txt")
		if err != nil {
			text = []byte("hello")
		}
		version = strings.TrimSpace(string(text))
	}
	write(w, version+"\n")
}

func (h *handler) health(w http.ResponseWriter, _ *http.Request) { write(w, "ok\n") }

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(number(r.FormValue("code"), http.StatusOK))
}

func (h *handler) slow(w http.ResponseWriter, r *http.Request) {
	flush(w)
	select {
	case <-time.After(period(r.FormValue("for"), 2*time.Second)):
		write(w, "done\n")
	case <-r.Context().Done():
	}
}

func (h *handler) late(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(period(r.URL.Query().Get("for"), time.Second)):
	case <-r.Context().Done():
	}
	write(w, "at last\n")
}

func (h *handler) sse(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	n := number(r.FormValue("n"), 0)
	tick := time.NewTicker(period(r.FormValue("every"), 100*time.Millisecond))
	defer tick.Stop()
	for i := 1; ; i++ {
		write(w, fmt.Sprintf("data: %d\n\n", i))
		flush(w)
		if i == n {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

func (h *handler) echo(w http.ResponseWriter, r *http.Request) {
	write(w, fmt.Sprintf("%s %s %s\nHost: %s\nRemote: %s\n", r.Method, r.URL.RequestURI(), r.Proto, r.Host, r.RemoteAddr))
	for _, name := range slices.Sorted(keys(r.Header)) {
		for _, value := range r.Header[name] {
			write(w, name+": "+value+"\n")
		}
	}
	write(w, "\n")
	_, _ = io.Copy(w, r.Body) // a client that leaves has no use for the rest
}

func keys(header http.Header) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range header {
			if !yield(name) {
				return
			}
		}
	}
}

func (h *handler) upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	write(w, fmt.Sprintf("%d %v\n", n, err))
}

func (h *handler) env(w http.ResponseWriter, _ *http.Request) {
	write(w, strings.Join(os.Environ(), "\n")+"\n")
}

func (h *handler) file(w http.ResponseWriter, r *http.Request) {
	read := h.process.ReadFile
	if read == nil {
		read = os.ReadFile
	}
	text, err := read(filepath.Clean(r.FormValue("path")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	write(w, string(text))
}

func (h *handler) dial(w http.ResponseWriter, r *http.Request) {
	conn, err := net.DialTimeout("tcp", r.FormValue("addr"), period(r.FormValue("for"), time.Second))
	if err != nil {
		write(w, err.Error()+"\n")
		return
	}
	_ = conn.Close() // it was only a try
	write(w, "ok\n")
}

func (h *handler) raw(w http.ResponseWriter, _ *http.Request) {
	conn, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
	if err != nil {
		write(w, err.Error()+"\n")
		return
	}
	_ = conn.Close() // it was only a try
	write(w, "ok\n")
}

// spawn starts processes, not goroutines: they count against the pids limit.
func (h *handler) spawn(w http.ResponseWriter, r *http.Request) {
	self, err := os.Executable()
	started := 0
	for range number(r.FormValue("n"), 10) {
		if err != nil {
			break
		}
		var child *os.Process
		child, err = os.StartProcess(self, []string{self, "sleep", "5s"}, &os.ProcAttr{})
		if err == nil {
			started++
			defer child.Wait() //nolint:errcheck // killed below
			defer child.Kill() //nolint:errcheck // it may have ended
		}
	}
	write(w, fmt.Sprintf("%d %v\n", started, err))
}

func (h *handler) end(w http.ResponseWriter, r *http.Request) {
	const farewell = "bye\n"
	w.Header().Set("Content-Length", strconv.Itoa(len(farewell)))
	write(w, farewell)
	flush(w) // whole, before the connection is cut
	select {
	case h.exit <- number(r.FormValue("code"), 1):
	default: // it ends already
	}
}

func (h *handler) eat(w http.ResponseWriter, _ *http.Request) {
	flush(w)
	h.process.eat()
	runtime.KeepAlive(w)
}

func (h *handler) log(_ http.ResponseWriter, r *http.Request) {
	text := strings.ReplaceAll(r.FormValue("text"), "{id}", r.Header.Get("X-Request-Id"))
	if r.FormValue("err") == "1" {
		h.process.say(h.process.Stderr, text)
		return
	}
	h.process.say(h.process.Stdout, text)
}

func period(text string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(text); err == nil {
		return d
	}
	return otherwise
}

func write(w io.Writer, text string) {
	_, _ = io.WriteString(w, text) // a client that leaves has no use for the rest
}

func flush(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush() // a client that leaves has no use for the rest
}
