// Hello is a small site: it answers with a greeting, and ends when it is told to.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	greeting, err := os.ReadFile("/greeting.txt")
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		log.Printf("%s %s request=%s", r.Method, r.URL.Path, r.Header.Get("X-Request-Id"))
		_, _ = fmt.Fprintf(w, "%s", greeting)
	})
	srv := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- srv.ListenAndServe() }() // ends with Shutdown, or the program with it
	log.Printf("listening on %s", srv.Addr)
	select {
	case err := <-ended:
		log.Fatal(err)
	case <-ctx.Done():
		log.Print("told to end: finishing what is under way")
		if err := srv.Shutdown(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
}
