package regauth

import (
	"encoding/binary"
	"errors"
	"sync"
)

// A machine runs the C ABI (ffi-c/include/regauth.h): one instance of the WebAssembly module, or the linked library.
// There is one for each back end, and everything else in this package is the same for both.
//
// Addresses and sizes are those of the machine's memory. Between lock and unlock no one else uses a machine that can do
// one thing at a time; bytes that it gives are good until the next call or allocation.
type machine interface {
	// word is the size of a pointer in bytes.
	word() int
	lock() *frame
	unlock(*frame)
	alloc(n uint64) uint64
	free(at, n uint64)
	bytes(at, n uint64) []byte
	// call gives what the function returns, a status in most cases.
	call(f function, args []uint64) uint64
	// wakeWith sets the waker of a flow: it makes woken(id) happen.
	wakeWith(flow, id uint64) uint64
	// wakeAll is asked after each call that may have woken flows.
	wakeAll()
	// authorize is the warm path.
	authorize(dst []byte, agent, now uint64, method, url string) ([]byte, status)
}

// host gives the machine of this process, and serverHost that of the server half, each made at the first use: who never
// serves does not pay for it.
var (
	host       = sync.OnceValues(func() (machine, error) { return newMachine(false) })
	serverHost = sync.OnceValues(func() (machine, error) { return newMachine(true) })
)

type status int32

// The statuses of the ABI.
const (
	statusOK     status = 0
	statusNull   status = 1
	statusMisuse status = 2
	statusPanic  status = 3
	statusInput  status = 4
	statusFailed status = 5
	statusSpace  status = 6
	statusNone   status = 7
)

var (
	// ErrClosed is given by a call on something that was closed.
	ErrClosed = errors.New("regauth: it is closed")
	// ErrMisuse is given by a call that does not fit the state of its object: out of order.
	ErrMisuse = errors.New("regauth: the call does not fit the state of its object")
	// ErrInput is given for an argument that is none: an unknown number, text that is not UTF-8.
	ErrInput = errors.New("regauth: an argument is not what it has to be: an unknown number, or text that is not UTF-8")
	// ErrDefect is a defect of this library; what it happened to is of no more use.
	ErrDefect = errors.New("regauth: a defect of the library; please report it")
	errMemory = errors.New("regauth: no memory is left for the arguments of a call: they are too long")
	errNone   = errors.New("regauth: there is nothing to give")
)

func (s status) err() error {
	switch s {
	case statusOK:
		return nil
	case statusMisuse:
		return ErrMisuse
	case statusInput, statusNull:
		return ErrInput
	case statusNone:
		return errNone
	default:
		return ErrDefect
	}
}

// arena is how much memory a frame begins with: enough for a request with its header fields.
const arena = 32 << 10

// room is what a struct of the ABI is given that comes out, more than any has: what is not known there is zero.
const room = 512

// A frame is the memory of one call or a few: arguments that go in, and structs that come out.
type frame struct {
	m        machine
	at, used uint64
	more     [][2]uint64
}

// use gives a frame of the machine of this process to body.
func use(body func(*frame) error) error { return useOf(host, body) }

// serve does the same with the machine of the server half.
func serve(body func(*frame) error) error { return useOf(serverHost, body) }

func useOf(host func() (machine, error), body func(*frame) error) (err error) {
	m, err := host()
	if err != nil {
		return err
	}
	f := m.lock()
	defer m.unlock(f)
	defer func() {
		if why := recover(); why == errMemory {
			err = errMemory
		} else if why != nil {
			panic(why)
		}
	}()
	return body(f)
}

func (f *frame) reset() {
	for _, block := range f.more {
		f.m.free(block[0], block[1])
	}
	f.more = f.more[:0]
	if f.used > 0 {
		// Secrets among them: passwords and answers with tokens.
		clear(f.m.bytes(f.at, f.used))
		f.used = 0
	}
}

func (f *frame) alloc(n uint64) uint64 {
	n = (n + 15) &^ 15
	if f.used+n <= arena {
		at := f.at + f.used
		f.used += n
		return at
	}
	at := f.m.alloc(n)
	if at == 0 {
		panic(errMemory)
	}
	f.more = append(f.more, [2]uint64{at, n})
	return at
}

func put[T ~string | ~[]byte](f *frame, text T) uint64 {
	if len(text) == 0 {
		return 0
	}
	at := f.alloc(uint64(len(text)))
	copy(f.m.bytes(at, uint64(len(text))), text)
	return at
}

func (f *frame) wordAt(at uint64) uint64 {
	bytes := f.m.bytes(at, uint64(f.m.word()))
	if len(bytes) == 4 {
		return uint64(binary.LittleEndian.Uint32(bytes))
	}
	return binary.LittleEndian.Uint64(bytes)
}

// lent copies bytes that an object lends.
func (f *frame) lent(at, n uint64) []byte {
	if at == 0 {
		return nil
	}
	return append(make([]byte, 0, n), f.m.bytes(at, n)...)
}

// out is an empty struct that comes out.
func (f *frame) out() uint64 {
	r := f.record()
	for len(r.bytes) < room {
		r.u64(0)
	}
	return r.put()
}

// A record is a struct of the ABI, or a list of them, being written.
type record struct {
	f     *frame
	bytes []byte
	sized bool
}

// record begins a struct that has its size in front.
func (f *frame) record() *record {
	r := &record{f: f, sized: true}
	return r.word(0)
}

// list begins a list of structs that are made of words alone.
func (f *frame) list() *record { return &record{f: f} }

func (r *record) align(n int) {
	for len(r.bytes)%n != 0 {
		r.bytes = append(r.bytes, 0)
	}
}

func (r *record) u32(v uint32) *record {
	r.bytes = binary.LittleEndian.AppendUint32(r.bytes, v)
	return r
}

func (r *record) u64(v uint64) *record {
	r.align(8)
	r.bytes = binary.LittleEndian.AppendUint64(r.bytes, v)
	return r
}

func (r *record) word(v uint64) *record {
	if r.f.m.word() == 4 {
		return r.u32(uint32(v))
	}
	return r.u64(v)
}

func (r *record) text(s string) *record { return r.word(put(r.f, s)).word(uint64(len(s))) }

func (r *record) data(b []byte) *record { return r.word(put(r.f, b)).word(uint64(len(b))) }

func (r *record) texts(list []string) *record {
	l := r.f.list()
	for _, s := range list {
		l.text(s)
	}
	return r.word(l.put()).word(uint64(len(list)))
}

func (r *record) datas(list [][]byte) *record {
	l := r.f.list()
	for _, b := range list {
		l.data(b)
	}
	return r.word(l.put()).word(uint64(len(list)))
}

func (r *record) headers(list []Header) *record {
	l := r.f.list()
	for _, h := range list {
		l.text(h.Name).text(h.Value)
	}
	return r.word(l.put()).word(uint64(len(list)))
}

func (r *record) pointers(list []uint64) *record {
	l := r.f.list()
	for _, p := range list {
		l.word(p)
	}
	return r.word(l.put()).word(uint64(len(list)))
}

// put writes it into the machine's memory and gives its address.
func (r *record) put() uint64 {
	if r.sized {
		r.align(8)
		if r.f.m.word() == 4 {
			binary.LittleEndian.PutUint32(r.bytes, uint32(len(r.bytes)))
		} else {
			binary.LittleEndian.PutUint64(r.bytes, uint64(len(r.bytes)))
		}
	}
	return put(r.f, r.bytes)
}

// A reader reads a struct that came out, field by field.
type reader struct {
	f     *frame
	base  uint64
	at    int
	whole []byte
}

func (f *frame) read(at uint64) *reader {
	r := &reader{f: f, base: at, whole: f.m.bytes(at, room)}
	r.word()
	return r
}

func (r *reader) align(n int) {
	for r.at%n != 0 {
		r.at++
	}
}

func (r *reader) u32() uint32 {
	v := binary.LittleEndian.Uint32(r.whole[r.at:])
	r.at += 4
	return v
}

func (r *reader) u64() uint64 {
	r.align(8)
	v := binary.LittleEndian.Uint64(r.whole[r.at:])
	r.at += 8
	return v
}

func (r *reader) word() uint64 {
	if r.f.m.word() == 4 {
		return uint64(r.u32())
	}
	return r.u64()
}

func (r *reader) skip(n int) []byte {
	r.at += n
	return r.whole[r.at-n : r.at]
}

func (r *reader) data() []byte {
	at := r.word()
	return r.f.lent(at, r.word())
}

func (r *reader) text() string {
	at, n := r.word(), uint64(0)
	if n = r.word(); at == 0 {
		return ""
	}
	return string(r.f.m.bytes(at, n))
}

func (r *reader) headers() []Header {
	at, n := r.word(), r.word()
	if n == 0 {
		return nil
	}
	list := make([]Header, n)
	fields := &reader{f: r.f, whole: r.f.m.bytes(at, n*4*uint64(r.f.m.word()))}
	for i := range list {
		list[i] = Header{Name: fields.text(), Value: fields.text()}
	}
	return list
}

// An invocation is a call being put together, argument by argument.
type invocation struct {
	f      *frame
	name   function
	args   [12]uint64
	n      int
	result uint64
	failed uint64
}

func (f *frame) call(name function) *invocation { return &invocation{f: f, name: name} }

func (c *invocation) u(v uint64) *invocation {
	c.args[c.n] = v
	c.n++
	return c
}

func (c *invocation) text(s string) *invocation { return c.u(put(c.f, s)).u(uint64(len(s))) }

func (c *invocation) data(b []byte) *invocation { return c.u(put(c.f, b)).u(uint64(len(b))) }

// to is where a pointer or a number comes out.
func (c *invocation) to() *invocation {
	c.result = c.f.alloc(8)
	clear(c.f.m.bytes(c.result, 8))
	return c.u(c.result)
}

// failure is where an error comes out.
func (c *invocation) failure() *invocation {
	c.failed = c.f.alloc(8)
	clear(c.f.m.bytes(c.failed, 8))
	return c.u(c.failed)
}

func (c *invocation) run() status { return status(int32(c.f.m.call(c.name, c.args[:c.n]))) }

// do gives the error that came out, or what the status says.
func (c *invocation) do() error {
	s := c.run()
	if s != statusFailed || c.failed == 0 {
		return s.err()
	}
	return c.f.given(c.f.wordAt(c.failed))
}

// pointer is what came out.
func (c *invocation) pointer() uint64 { return c.f.wordAt(c.result) }

func (c *invocation) pointerOr(err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	return c.pointer(), nil
}

func (c *invocation) u32() uint32 { return binary.LittleEndian.Uint32(c.f.m.bytes(c.result, 4)) }

// spaceOrFailure does what space does, for a function that has one argument more, where an error comes out.
func (c *invocation) spaceOrFailure() ([]byte, error) {
	c.failed = c.f.alloc(8)
	clear(c.f.m.bytes(c.failed, 8))
	return c.space()
}

// space calls a function whose last three arguments are a buffer, and gives what was written to it.
func (c *invocation) space() ([]byte, error) {
	n := c.n
	for size := uint64(2048); ; {
		buf, length := c.f.alloc(size), c.f.alloc(8)
		c.n = n
		c.u(buf).u(size).u(length)
		if c.failed != 0 {
			c.u(c.failed)
		}
		s := c.run()
		if s == statusSpace {
			size = c.f.wordAt(length)
			continue
		}
		if s == statusFailed && c.failed != 0 {
			return nil, c.f.given(c.f.wordAt(c.failed))
		}
		if s != statusOK {
			return nil, s.err()
		}
		return c.f.lent(buf, c.f.wordAt(length)), nil
	}
}
