// Package regauth decides what each hop of a registry request may be sent: one identity for every hop between a builder
// and an OCI registry. It does no I/O: a [Flow] says what to send ([Flow.Poll]), the program sends it with an HTTP client
// of its own and gives the answer back ([Flow.Answer]). Package transport beside this module is such a program, an
// http.RoundTripper.
//
// The core is written in Rust. By default it is embedded as WebAssembly and run by wazero: no cgo and no Rust are needed,
// so CGO_ENABLED=0 and cross-compiling work. With the build tag regauth_cgo the static library is linked instead. Both give
// the same answers; [Backend] says which one it is.
//
// TLS is crypto/tls, fed by a [Profile]: [Profile.TLSConfig].
//
// A registry's side is here too: [Guard], [Issuer], and [CA] for short-lived certificates; package server puts them before
// an http.Handler.
//
// What has a Close method is freed by it at once, and otherwise when it was collected. A Flow that is given up must be
// closed: it may hold the duty to fetch a token for others.
package regauth

//go:generate go run ./internal/generate
