//go:build !regauth_cgo

package regauth

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	goruntime "runtime"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Backend says what runs the core in this program: "wasm", or "cgo" with the build tag regauth_cgo.
const Backend = "wasm"

// build.sh makes it of layer a of ffi-c.
//
//go:embed regauth.wasm
var module []byte

// The server half, a module with a memory of its own.
//
//go:embed server.wasm
var serverModule []byte

// instance is a WebAssembly module, compiled at the first use and once a process. It does one thing at a time, so that
// all agents of a process share one lock, and all of its server half another; a call is short and never waits for anything.
type instance struct {
	mu        sync.Mutex
	memory    api.Memory
	functions [functions]api.Function
	woken     api.Function
	wakeID    api.Function
	allocate  api.Function
	release   api.Function
	frame     frame
	stack     [12]uint64
	// broken: the module has trapped, and its memory is in no known state.
	broken bool
}

// kept is where what the module compiles to is kept; nil: nowhere.
var kept wazero.CompilationCache

// KeepCompiled keeps what the module compiles to in a directory, for short programs: the first call of a process then takes
// milliseconds instead of a few hundred. It holds machine code, so that nobody else may be able to write to it. Call it
// before anything else of this package; the back end cgo has nothing to keep.
func KeepCompiled(directory string) (err error) {
	kept, err = wazero.NewCompilationCacheWithDir(directory)
	return err
}

// has is whether a function is in the module of the server half, or in the other one; those for errors are in both.
func has(server bool, f function) bool {
	return f == fnErrorGet || f == fnErrorFree || server == (f >= firstServed)
}

func newMachine(server bool) (machine, error) {
	module := module
	if server {
		module = serverModule
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), goruntime.GOMAXPROCS(0))
	// Without the tables for stack traces of WebAssembly, which nobody would read.
	settings := wazero.NewRuntimeConfig().WithDebugInfoEnabled(false)
	if kept != nil {
		settings = settings.WithCompilationCache(kept)
	}
	runtime := wazero.NewRuntimeWithConfig(ctx, settings)
	compiled, err := runtime.CompileModule(ctx, module)
	if err != nil {
		return nil, fmt.Errorf("regauth: the embedded module does not compile: %w", err)
	}
	started, err := runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("regauth: the embedded module does not start: %w", err)
	}
	m := &instance{memory: started.Memory()}
	find := func(name string) api.Function {
		found := started.ExportedFunction("regauth_" + name)
		if found == nil && err == nil {
			err = fmt.Errorf("regauth: the embedded module has no function regauth_%s", name)
		}
		return found
	}
	for f := range m.functions {
		if has(server, function(f)) {
			m.functions[f] = find(function(f).name())
		}
	}
	m.woken, m.allocate, m.release = find("woken"), find("alloc"), find("dealloc")
	if !server {
		m.wakeID = find("flow_wake_id")
	}
	abi := find("abi")
	if err != nil {
		return nil, err
	}
	if got := m.run(abi); got != abiNumber {
		return nil, fmt.Errorf("regauth: the embedded module has ABI %d and not %d", got, abiNumber)
	}
	m.frame = frame{m: m, at: m.alloc(arena)}
	if m.frame.at == 0 {
		return nil, ErrDefect
	}
	return m, nil
}

func (m *instance) word() int { return 4 }

func (m *instance) lock() *frame {
	m.mu.Lock()
	return &m.frame
}

func (m *instance) unlock(f *frame) {
	if m.broken {
		// Nothing in it can be relied upon, the allocator included.
		f.more, f.used = nil, 0
	}
	f.reset()
	m.mu.Unlock()
}

// run calls a function; one that traps gives the status of a defect, and so does each one after it.
func (m *instance) run(f api.Function, args ...uint64) uint64 {
	if m.broken {
		return uint64(statusPanic)
	}
	stack := m.stack[:max(len(args), 1)]
	copy(stack, args)
	if err := f.CallWithStack(context.Background(), stack); err != nil {
		m.broken = true
		return uint64(statusPanic)
	}
	return stack[0]
}

func (m *instance) call(f function, args []uint64) uint64 { return m.run(m.functions[f], args...) }

func (m *instance) alloc(n uint64) uint64 {
	at := m.run(m.allocate, n)
	if m.broken {
		return m.frame.at
	}
	return at
}

func (m *instance) free(at, n uint64) { m.run(m.release, at, n) }

func (m *instance) bytes(at, n uint64) []byte {
	bytes, ok := m.memory.Read(uint32(at), uint32(n))
	if !ok || m.broken {
		m.broken = true
		return make([]byte, n)
	}
	return bytes
}

func (m *instance) wakeWith(flow, id uint64) uint64 { return m.run(m.wakeID, flow, id) }

func (m *instance) wakeAll() {
	out := m.frame.alloc(8)
	for m.run(m.woken, out) == uint64(statusOK) {
		woken(binary.LittleEndian.Uint64(m.bytes(out, 8)))
	}
}

func (m *instance) authorize(dst []byte, agent, now uint64, method, url string) ([]byte, status) {
	const space = 8 << 10
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(method)+len(url) > arena-space-16 {
		return dst, statusNone
	}
	// Arguments, length and header, one behind the other at the start of the arena.
	at := m.frame.at
	bytes, ok := m.memory.Read(uint32(at), arena)
	if !ok || m.broken {
		return dst, statusPanic
	}
	copy(bytes[16:], method)
	copy(bytes[16+len(method):], url)
	out := at + arena - space
	stack := m.stack[:9]
	stack[0], stack[1], stack[2], stack[3] = agent, now, at+16, uint64(len(method))
	stack[4], stack[5] = at+16+uint64(len(method)), uint64(len(url))
	stack[6], stack[7], stack[8] = out, space, at
	if err := m.functions[fnAuthorize].CallWithStack(context.Background(), stack); err != nil {
		m.broken = true
		return dst, statusPanic
	}
	s := status(int32(stack[0]))
	if s != statusOK {
		return dst, s
	}
	bytes, ok = m.memory.Read(uint32(at), arena)
	if !ok {
		return dst, statusPanic
	}
	header := bytes[arena-space:][:binary.LittleEndian.Uint32(bytes)]
	dst = append(dst, header...)
	clear(header)
	return dst, s
}
