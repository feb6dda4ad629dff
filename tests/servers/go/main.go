// A server of Go's crypto/tls: what it makes of client certificates, for the tests of regauth.
//
// With -reset it breaks the connection where it would send an alert, as a server does that is killed, or a load balancer.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	address := flag.String("addr", "", "host and port")
	cert := flag.String("cert", "", "the server's certificate")
	key := flag.String("key", "", "its key")
	ca := flag.String("ca", "", "the CA of client certificates; none: they are not asked for")
	version := flag.String("version", "1.3", "1.2 or 1.3")
	reset := flag.Bool("reset", false, "reset the connection instead of sending an alert")
	flag.Parse()

	pair, err := tls.LoadX509KeyPair(*cert, *key)
	check(err)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}
	if *version == "1.2" {
		config.MaxVersion = tls.VersionTLS12
	} else {
		config.MinVersion = tls.VersionTLS13
	}
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		check(err)
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(pem)
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if *reset && *ca != "" {
		config.ClientAuth = tls.RequestClientCert
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			mine := config.Clone()
			mine.GetConfigForClient = nil
			mine.VerifyConnection = func(state tls.ConnectionState) error { return verify(mine, state, hello.Conn) }
			return mine, nil
		}
	}
	listener, err := tls.Listen("tcp", *address, config)
	check(err)
	check(http.Serve(listener, http.HandlerFunc(answer)))
}

// verify does what RequireAndVerifyClientCert does, and where that fails no alert gets out.
func verify(config *tls.Config, state tls.ConnectionState, connection net.Conn) error {
	err := errors.New("no certificate")
	if len(state.PeerCertificates) > 0 {
		options := x509.VerifyOptions{Roots: config.ClientCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		_, err = state.PeerCertificates[0].Verify(options)
	}
	if err != nil {
		connection.(*net.TCPConn).SetLinger(0)
		connection.Close()
	}
	return err
}

func answer(w http.ResponseWriter, r *http.Request) {
	dn := "-"
	if len(r.TLS.PeerCertificates) > 0 {
		dn = r.TLS.PeerCertificates[0].Subject.String()
	}
	fmt.Printf("%q 200 dn=%q resumed=%t\n", r.Method+" "+r.URL.Path, dn, r.TLS.DidResume)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintln(w, "{}")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
