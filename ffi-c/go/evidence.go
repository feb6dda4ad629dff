package regauth

// Shown is what was answered to a server that may have asked for a client certificate.
type Shown uint32

// The answers.
const (
	// ShownNotAsked: the server did not ask.
	ShownNotAsked Shown = 0
	// ShownNoPair: it asked, and none is configured.
	ShownNoPair Shown = 1
	// ShownNoneFits: it asked, and none fits; Lines has one line for each, with the reason.
	ShownNoneFits Shown = 2
	// ShownPair: it asked and was shown one; Lines are its label and the issuer of its leaf.
	ShownPair Shown = 3
)

// Evidence is what a TLS connection showed about client certificates. Zero where it is not known.
type Evidence struct {
	// Version is tls.VersionTLS12 or tls.VersionTLS13; 0 before the server's hello was read.
	Version uint16
	// Shown is what the server was answered.
	Shown Shown
	// Resumed: the session was resumed, so that the server saw the certificate of its first handshake.
	Resumed bool
	// Finished: the handshake came to its end on this side.
	Finished bool
	// Accepted: application data came from the server; only then the identity was accepted.
	Accepted bool
	// Alert is the fatal alert that the server sent (RFC 8446 section 6).
	Alert uint8
	// Pair is which identity of the profile was shown, the first being 1; 0: none.
	Pair int
	// Next is which one to try after a rejection, the first being 1; 0: none.
	Next int
	// Hints are the issuers that the server named, as text.
	Hints []string
	// Lines are as Shown says.
	Lines []string
}

// Failure is what a broken connection is to be reported as: seen, unless the evidence says more about it.
func (e *Evidence) Failure(seen Failure) Failure {
	if e == nil {
		return seen
	}
	_ = use(func(f *frame) error {
		c := f.call(fnEvidenceFailure).u(f.evidence(e)).u(uint64(seen)).to()
		if c.run() == statusOK {
			seen = Failure(c.u32())
		}
		return nil
	})
	return seen
}

// evidence writes a regauth_evidence; nil is NULL.
func (f *frame) evidence(e *Evidence) uint64 {
	if e == nil {
		return 0
	}
	var version, flags uint32
	if e.Version >= 0x0303 {
		// TLS 1.2 is 0x0303 on the wire and 1 in the ABI.
		version = uint32(e.Version) - 0x0302
	}
	for i, set := range []bool{e.Resumed, e.Finished, e.Accepted} {
		if set {
			flags |= 1 << i
		}
	}
	r := f.record().u32(version).u32(uint32(e.Shown)).u32(flags).u32(uint32(e.Alert))
	r.u32(uint32(e.Pair)).u32(uint32(e.Next)).u32(0).u32(0).u64(0)
	r.texts(e.Hints).texts(e.Lines)
	return r.word(0).word(0).word(0).word(0).put()
}
