// Package docs keeps the documentation true: its tests compare what the pages say
// with the program and its source.
package docs
