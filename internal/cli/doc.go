// Package cli is the command line of octohost: every command parses, calls the API
// client, and prints. The same commands run in a user's shell, with [Run], and
// inside the daemon for "ssh octo@HOST …", with [Remote], where only those exist
// that touch nothing but the API.
//
// stdout is data, stderr is progress and advice. Exit codes: 0 ok, 1 failed,
// 2 usage, 3 not found, 4 denied, 130 interrupted.
package cli
