// Testapp is the program in the containers of tests. Without arguments it is the
// server of package webapp. With them it is a tool for the RUN steps of builds in
// images that have no shell:
//
//	testapp exit 3         ends with code 3
//	testapp sleep 10s …    waits
//	testapp say TEXT…      prints TEXT, a line per argument
//	testapp cat FILE…      prints files
//	testapp write FILE TEXT
//	testapp eat            eats memory until it is killed
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/octohost/octohost/internal/engine/enginetest/webapp"
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(tool(os.Args[1], os.Args[2:]))
	}
	os.Exit(webapp.Run(context.Background(), process()))
}

func process() webapp.Process {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	return webapp.Process{Getenv: os.Getenv, Stdout: os.Stdout, Stderr: os.Stderr, Signal: signals}
}

func tool(name string, args []string) int {
	var err error
	switch {
	case name == "exit" && len(args) == 1:
		code, _ := strconv.Atoi(args[0]) // a word is as good as 0
		return code
	case name == "sleep" && len(args) > 0: // further words mark it in the list of processes
		var d time.Duration
		if d, err = time.ParseDuration(args[0]); err == nil {
			time.Sleep(d)
		}
	case name == "say":
		for _, text := range args {
			fmt.Println(text)
		}
	case name == "cat":
		for _, path := range args {
			err = cat(path)
		}
	case name == "write" && len(args) == 2:
		err = os.WriteFile(args[0], []byte(args[1]), 0o644) //nolint:gosec // in a container
	case name == "eat":
		p := process()
		p.Getenv = func(name string) string { return map[string]string{"OOM": "1"}[name] }
		return webapp.Run(context.Background(), p)
	default:
		err = fmt.Errorf("testapp: what is %s %v?", name, args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func cat(path string) error {
	text, err := os.ReadFile(path) //nolint:gosec // in a container
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}
