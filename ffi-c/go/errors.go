package regauth

import (
	"runtime"
	"time"
)

// Hop is a kind of request.
type Hop uint32

// The hops.
const (
	// HopRegistry is the registry API, as the caller asked.
	HopRegistry Hop = 1
	// HopToken is the token endpoint that the registry's challenge names.
	HopToken Hop = 2
	// HopRedirect is a redirect of a registry request.
	HopRedirect Hop = 3
	// HopUpload is the location of an upload session.
	HopUpload Hop = 4
	// HopLayer is a layer URL that a manifest names.
	HopLayer Hop = 5
	// HopTokenRedirect is a redirect of a token request.
	HopTokenRedirect Hop = 6
)

func (h Hop) String() string {
	return name(uint32(h), "", "registry", "token", "redirect", "upload", "layer", "token-redirect")
}

// Fault says who has to act.
type Fault uint32

// The faults.
const (
	// FaultLocal is the caller's or its configuration's.
	FaultLocal Fault = 1
	// FaultRegistry is in the registry's answer.
	FaultRegistry Fault = 2
	// FaultTokenService is in the token service's answer.
	FaultTokenService Fault = 3
	// FaultNetwork is the connection's: no answer came.
	FaultNetwork Fault = 4
	// FaultPolicy is a refusal of the hop policy, before anything was sent.
	FaultPolicy Fault = 5
)

func (f Fault) String() string {
	return name(uint32(f), "", "local", "registry", "token-service", "network", "policy")
}

// Failure is how a hop failed without an answer.
type Failure uint32

// The failures.
const (
	// FailureConnect is no connection: refused, no route, no name.
	FailureConnect Failure = 1
	// FailureTimeout is no answer within the program's limit.
	FailureTimeout Failure = 2
	// FailureReset is a connection that was reset, or closed before the answer was whole.
	FailureReset Failure = 3
	// FailureServerCertificate is a server's certificate that was not accepted here.
	FailureServerCertificate Failure = 4
	// FailureCertificateRequired is a server that requires a client certificate and got none.
	FailureCertificateRequired Failure = 5
	// FailureCertificateRejected is a server that refused the client certificate that was shown, or the handshake.
	FailureCertificateRejected Failure = 6
	// FailureTLS is any other TLS error.
	FailureTLS Failure = 7
	// FailureAddressRefused is a host all of whose addresses Dial refused.
	FailureAddressRefused Failure = 8
)

// ErrorKind is what happened.
type ErrorKind uint32

// The kinds of errors.
const (
	ErrorOther          ErrorKind = 0
	ErrorMisuse         ErrorKind = 1
	ErrorURL            ErrorKind = 2
	ErrorMethod         ErrorKind = 3
	ErrorHeader         ErrorKind = 4
	ErrorUserColon      ErrorKind = 5
	ErrorNoPassword     ErrorKind = 6
	ErrorWrongKind      ErrorKind = 7
	ErrorHelper         ErrorKind = 8
	ErrorIdentity       ErrorKind = 9
	ErrorRealm          ErrorKind = 10
	ErrorRefused        ErrorKind = 11
	ErrorTooManyTokens  ErrorKind = 12
	ErrorProtocol       ErrorKind = 13
	ErrorTokenRefused   ErrorKind = 14
	ErrorTokenLater     ErrorKind = 15
	ErrorTokenMalformed ErrorKind = 16
	ErrorTokenNowhere   ErrorKind = 17
	ErrorNetwork        ErrorKind = 18
	ErrorDenied         ErrorKind = 19
	ErrorAsk            ErrorKind = 20
	ErrorAddress        ErrorKind = 21
	ErrorReference      ErrorKind = 22
	ErrorTLS            ErrorKind = 23
	ErrorField          ErrorKind = 24
	ErrorBodyGone       ErrorKind = 25
	ErrorCredentials    ErrorKind = 26
	// ErrorSetup is a guard, an issuer or a certificate that cannot be made so.
	ErrorSetup ErrorKind = 27
)

// CertificateState is what became of client authentication.
type CertificateState uint32

// The states.
const (
	CertificateRequired         CertificateState = 1
	CertificateRejected         CertificateState = 2
	CertificateProbablyRejected CertificateState = 3
	CertificateRejectedOverHTTP CertificateState = 4
	CertificateAskedLate        CertificateState = 5
	CertificateNotAsked         CertificateState = 6
)

// Error says what happened, where, and what to do about it. Its texts hold no secrets.
type Error struct {
	// Fault is who has to act.
	Fault Fault
	// Hop is where it failed; 0 where that was no hop.
	Hop Hop
	// Kind is what happened.
	Kind ErrorKind
	// Failure is set for ErrorNetwork.
	Failure Failure
	// HTTPStatus is the status of the answer, where one was the cause.
	HTTPStatus int
	// Certificates is what became of client authentication, where the error has to do with it.
	Certificates CertificateState
	// RetryAt is when to try again, for ErrorTokenLater; zero where nobody said.
	RetryAt time.Time
	// Origin is that of the hop: scheme, host and port.
	Origin string
	// What is one sentence: what happened.
	What string
	// Remedy is one sentence: what to do about it.
	Remedy string
	// Line is the exact configuration line that would allow it, for ErrorAsk.
	Line string
}

func (e *Error) Error() string {
	if e.Remedy == "" {
		return "regauth: " + e.What
	}
	return "regauth: " + e.What + ". " + e.Remedy
}

// readError reads a regauth_error_info.
func (f *frame) readError(at uint64) *Error {
	r := f.read(at)
	e := &Error{Fault: Fault(r.u32()), Hop: Hop(r.u32()), Kind: ErrorKind(r.u32()), Failure: Failure(r.u32())}
	e.HTTPStatus, e.Certificates = int(r.u32()), CertificateState(r.u32())
	e.RetryAt = fromMillis(r.u64())
	e.Origin, e.What, e.Remedy, e.Line = r.text(), r.text(), r.text(), r.text()
	return e
}

// given reads an error that was given out, and frees it.
func (f *frame) given(at uint64) error {
	if at == 0 {
		return ErrDefect
	}
	defer f.call(fnErrorFree).u(at).run()
	out := f.out()
	if s := f.call(fnErrorGet).u(at).u(out).run(); s != statusOK {
		return s.err()
	}
	return f.readError(out)
}

// kept gives the error that an object keeps, where the status says that it has one.
func (f *frame) kept(s status, get function, at uint64) error {
	if s != statusFailed {
		return s.err()
	}
	out := f.out()
	if s := f.call(get).u(at).u(out).run(); s != statusOK {
		return s.err()
	}
	return f.readError(out)
}

// Diagnose says what an answer has to do with client certificates, or gives nil where it is about something else. body is
// as much of the answer's as there is, of its first 4 KiB; identity is the label of what is configured for the connection,
// or empty; tls is nil for plain http.
func Diagnose(status int, contentType string, body []byte, identity string, tls *Evidence) *Error {
	var found error
	_ = use(func(f *frame) error {
		c := f.call(fnDiagnose).u(uint64(status)).text(contentType).data(body).text(identity).u(f.evidence(tls)).to()
		if c.run() == statusOK {
			found = f.given(c.pointer())
		}
		return nil
	})
	e, _ := found.(*Error)
	return e
}

func name(number uint32, names ...string) string {
	if int(number) < len(names) && names[number] != "" {
		return names[number]
	}
	return "unknown"
}

// keep keeps a holder until a call on what it holds is over.
func keep(holder any) { runtime.KeepAlive(holder) }
