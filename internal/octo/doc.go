// Package octo holds the words of the product: apps, releases, processes,
// instances, nodes, routes, events and people, with their validation and the
// errors that every door speaks. It imports only the standard library and has
// no clock, no I/O and no goroutine.
package octo
