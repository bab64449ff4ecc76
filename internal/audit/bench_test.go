package audit_test

import (
	"testing"

	"github.com/octohost/octohost/internal/octo"
)

// BenchmarkRecord is what a change pays for being audited: a trip to the disk.
func BenchmarkRecord(b *testing.B) {
	trail := open(b, b.TempDir())
	for b.Loop() {
		trail.Record(did("ann", "hello", "PUT /v1/apps/{app}/branch"))
	}
}

// BenchmarkReadTail is octo audit for one app of many, in a trail that is full.
func BenchmarkReadTail(b *testing.B) {
	trail := open(b, b.TempDir())
	for range 4000 {
		trail.Record(did("ann", "other", "PUT /v1/apps/{app}/branch"))
	}
	for b.Loop() {
		for range trail.Read(b.Context(), octo.AuditQuery{App: "hello"}, everything) {
			b.Fatal("there is none")
		}
	}
}
