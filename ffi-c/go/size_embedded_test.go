//go:build !regauth_cgo

package regauth

func size(m machine) uint64 { return uint64(m.(*instance).memory.Size()) }
