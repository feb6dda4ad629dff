//go:build regauth_cgo

package regauth

/*
#cgo noescape regauth_authorize
#cgo nocallback regauth_authorize
#cgo linux LDFLAGS: -l:libregauth.a -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
#cgo darwin LDFLAGS: -lregauth -liconv -lSystem -lc -lm
#include <stdlib.h>
#include <regauth.h>

void regauthWoken(void *id);

static regauth_status regauth_go_wake(regauth_flow *flow, uintptr_t id) {
	return regauth_flow_on_wake(flow, regauthWoken, (void *)id, NULL);
}
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"
)

// Backend says what runs the core in this program: "cgo", or "wasm" without the build tag regauth_cgo.
const Backend = "cgo"

// KeepCompiled does nothing: it is for the back end wasm.
func KeepCompiled(string) error { return nil }

// library is the static library of ffi-c: `make -C ffi-c install`. CGO_CFLAGS and CGO_LDFLAGS say where it is, if that is no
// place where the compiler looks by itself.
type library struct{ frames chan *frame }

// newMachine is asked for one for each half, and the library is both.
func newMachine(bool) (machine, error) {
	if got := C.regauth_abi(); got != abiNumber {
		return nil, fmt.Errorf("regauth: the library that is linked has ABI %d and not %d", got, abiNumber)
	}
	// So many idle frames are kept.
	return &library{frames: make(chan *frame, 16)}, nil
}

// pointer is one of the library's memory, never of Go's.
func pointer(at uint64) unsafe.Pointer {
	address := uintptr(at)
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

func (m *library) word() int { return int(unsafe.Sizeof(uintptr(0))) }

func (m *library) lock() *frame {
	select {
	case f := <-m.frames:
		return f
	default:
		return &frame{m: m, at: m.alloc(arena)}
	}
}

func (m *library) unlock(f *frame) {
	f.reset()
	select {
	case m.frames <- f:
	default:
		m.free(f.at, arena)
	}
}

func (m *library) alloc(n uint64) uint64 { return uint64(uintptr(C.malloc(C.size_t(n)))) }

func (m *library) free(at, _ uint64) { C.free(pointer(at)) }

func (m *library) bytes(at, n uint64) []byte { return unsafe.Slice((*byte)(pointer(at)), n) }

func (m *library) call(f function, args []uint64) uint64 { return dispatch(f, args) }

func (m *library) wakeWith(flow, id uint64) uint64 {
	return uint64(C.regauth_go_wake((*C.regauth_flow)(pointer(flow)), C.uintptr_t(id)))
}

// wakeAll has nothing to do: the library calls regauthWoken.
func (m *library) wakeAll() {}

//export regauthWoken
func regauthWoken(id unsafe.Pointer) { woken(uint64(uintptr(id))) }

func (m *library) authorize(dst []byte, agent, now uint64, method, url string) ([]byte, status) {
	dst = slices.Grow(dst, 1)
	for {
		space := dst[len(dst):cap(dst)]
		var n C.size_t
		s := status(C.regauth_authorize((*C.regauth_agent)(pointer(agent)), C.uint64_t(now),
			(*C.char)(unsafe.Pointer(unsafe.StringData(method))), C.size_t(len(method)),
			(*C.char)(unsafe.Pointer(unsafe.StringData(url))), C.size_t(len(url)),
			(*C.char)(unsafe.Pointer(unsafe.SliceData(space))), C.size_t(len(space)), &n))
		switch s {
		case statusOK:
			return dst[:len(dst)+int(n)], s
		case statusSpace:
			dst = slices.Grow(dst, int(n))
		default:
			return dst, s
		}
	}
}
