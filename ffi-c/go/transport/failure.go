package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"reflect"
	"time"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// failure is what an error of a connection is to be reported as; 0: the application gave up, and the error is its own.
func failure(ctx context.Context, err error, try *attempt) regauth.Failure {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return 0
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return 0
	}
	try.mu.Lock()
	defer try.mu.Unlock()
	if try.refused != nil {
		return regauth.FailureAddressRefused
	}
	code := alert(err)
	if code == 0 {
		code = try.used.alert()
	}
	if code != 0 && (try.evidence == nil || try.evidence.Alert == 0) {
		seen := regauth.Evidence{}
		if try.evidence != nil {
			seen = *try.evidence
		}
		seen.Alert = code
		try.evidence = &seen
	}
	return try.evidence.Failure(seen(err))
}

func seen(err error) regauth.Failure {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		name         x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
		timeout      net.Error
		dial         *net.OpError
		dns          *net.DNSError
	)
	switch {
	case errors.As(err, &verification), errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return regauth.FailureServerCertificate
	case errors.As(err, &record), alert(err) != 0:
		return regauth.FailureTLS
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return regauth.FailureTimeout
	case errors.As(err, &timeout) && timeout.Timeout():
		return regauth.FailureTimeout
	case errors.As(err, &dns), errors.As(err, &dial) && dial.Op == "dial":
		return regauth.FailureConnect
	}
	return regauth.FailureReset
}

// alert is the one that a connection received which broke before its first answer: HTTP/2 reports only that it could not be
// established. In TLS 1.3 the handshake is over by then.
func (c *connection) alert() uint8 {
	if c == nil || c.over == nil || c.answered.Load() {
		return 0
	}
	// What was received is given at once, and nothing more is read.
	_ = c.over.SetReadDeadline(time.Unix(1, 0))
	_, err := c.over.Read(make([]byte, 1))
	return alert(err)
}

// alert is the fatal alert that a server sent; 0: none.
func alert(err error) uint8 {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" || remote.Err == nil {
		return 0
	}
	// crypto/tls has a type of its own for it, a uint8 that it does not export.
	if code := reflect.ValueOf(remote.Err); code.Kind() == reflect.Uint8 {
		return uint8(code.Uint())
	}
	return 0
}
