package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pipe is one end of a connection in memory that takes writes without waiting for the reader.
type pipe struct {
	net.Conn
	in, out chan []byte
	rest    []byte
	// Where writes go instead, if anywhere.
	kept *[]byte
}

func pipes() (*pipe, *pipe) {
	a, b := make(chan []byte, 64), make(chan []byte, 64)
	return &pipe{in: a, out: b}, &pipe{in: b, out: a}
}

func (p *pipe) Read(buffer []byte) (int, error) {
	if len(p.rest) == 0 {
		p.rest = <-p.in
		if p.rest == nil {
			return 0, io.EOF
		}
	}
	n := copy(buffer, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pipe) Write(bytes []byte) (int, error) {
	if p.kept != nil {
		*p.kept = append(*p.kept, bytes...)
	} else {
		p.out <- append([]byte(nil), bytes...)
	}
	return len(bytes), nil
}

func (p *pipe) Close() error                     { return nil }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

func configs(key string, resumed bool) (client, server *tls.Config) {
	file := func(name string) string { return filepath.Join(os.Args[2], name) }
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(file("ca.pem"))))
	pair := func(name string) []tls.Certificate {
		return []tls.Certificate{must(tls.LoadX509KeyPair(file(name+".pem"), file(name+".key")))}
	}
	x25519 := []tls.CurveID{tls.X25519}
	client = &tls.Config{
		RootCAs: roots, Certificates: pair(key), ServerName: host, MinVersion: tls.VersionTLS13, CurvePreferences: x25519,
	}
	server = &tls.Config{
		ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert, Certificates: pair("server"),
		MinVersion: tls.VersionTLS13, CurvePreferences: x25519, SessionTicketsDisabled: !resumed,
	}
	if resumed {
		client.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	}
	return client, server
}

// handshake measures the thread of the client alone: the server has another one. What the collector does on others is
// not in it.
func handshake(arguments []string, times int) cost {
	resumed := arguments[1] == "resumed"
	client, server := configs(arguments[0], resumed)
	result := make(chan cost)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var spent float64
		for number := range times + 1 {
			near, far := pipes()
			go func() {
				served := tls.Server(far, server)
				// A byte, so that the client comes to the tickets that are before it.
				must(served.Write([]byte{1}))
			}()
			start := cpu(unix.CLOCK_THREAD_CPUTIME_ID)
			conn := tls.Client(near, client)
			must(conn.Read(make([]byte, 1)))
			if number > 0 {
				spent += cpu(unix.CLOCK_THREAD_CPUTIME_ID) - start
				if conn.ConnectionState().DidResume != resumed {
					panic("resumption: " + strings.Join(arguments, " "))
				}
			}
		}
		result <- cost{spent / float64(times), 0}
	}()
	return <-result
}

// bulk measures the receipt of so many MiB that wait already.
func bulk(_ []string, mib int) cost {
	client, server := configs("p256", false)
	near, far := pipes()
	done := make(chan []byte)
	go func() {
		served := tls.Server(far, server)
		must(served.Write([]byte{1}))
		kept := make([]byte, 0, (mib+1)<<20)
		far.kept = &kept
		block := make([]byte, 1<<20)
		for range mib {
			must(served.Write(block))
		}
		done <- kept
	}()
	conn := tls.Client(near, client)
	must(conn.Read(make([]byte, 1)))
	near.rest = <-done
	buffer := make([]byte, 64<<10)
	result := make(chan cost)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		start := cpu(unix.CLOCK_THREAD_CPUTIME_ID)
		for left := mib << 20; left > 0; {
			left -= must(conn.Read(buffer))
		}
		result <- cost{(cpu(unix.CLOCK_THREAD_CPUTIME_ID) - start) / float64(mib), 0}
	}()
	return <-result
}
