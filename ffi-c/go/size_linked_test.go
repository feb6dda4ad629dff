//go:build regauth_cgo

package regauth

func size(machine) uint64 { return 0 }
