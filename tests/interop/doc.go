// Package interop holds the tests against programs that are not ours: BuildKit, and the Go clients of registries. Each
// test starts what it needs on loopback and reads the log of nginx, which says what every request showed.
package interop
