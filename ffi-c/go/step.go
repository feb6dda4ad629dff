package regauth

import "time"

// StepKind is what a flow wants.
type StepKind uint32

// The kinds.
const (
	// StepSend: send exactly Send; then Answer or Failed.
	StepSend StepKind = 1
	// StepCredentials: look Query up, or run the helper; then Credentials, HelperOutput or HelperFailed.
	StepCredentials StepKind = 2
	// StepWait: poll again when woken, or at Until: Wait.
	StepWait StepKind = 3
	// StepDone: the last answer is the application's.
	StepDone StepKind = 4
	// StepFailed: the flow has failed with Err, and stays so.
	StepFailed StepKind = 5
)

func (k StepKind) String() string {
	return name(uint32(k), "", "send", "credentials", "wait", "done", "failed")
}

// Waiting is why a flow waits.
type Waiting uint32

// The reasons.
const (
	// WaitToken: another flow fetches this token, or these credentials.
	WaitToken Waiting = 1
	// WaitSkew: a fresh token was refused; the clocks may differ.
	WaitSkew Waiting = 2
	// WaitRetryAfter: the token service named a time.
	WaitRetryAfter Waiting = 3
	// WaitBackOff: the token service could not be reached twice.
	WaitBackOff Waiting = 4
)

// Step is what to do next.
type Step struct {
	Kind StepKind
	// Send is set for StepSend.
	Send *Outgoing
	// Query is set for StepCredentials.
	Query *Query
	// Until is when to poll at the latest, and Why the reason, for StepWait.
	Until time.Time
	Why   Waiting
	// Status is that of the application's answer, for StepDone.
	Status int
	// MountDenied: the registry denied a cross-repository mount, for StepDone: no failed push, upload the blob instead.
	MountDenied bool
	// Err is set for StepFailed.
	Err *Error
}

// Body is which body a request has.
type Body uint32

// The bodies.
const (
	// BodyNone: none.
	BodyNone Body = 0
	// BodyApp: the application's, if it has one; from its start.
	BodyApp Body = 1
	// BodyAppAgain: the application's once more; one that cannot be read twice ends the flow here.
	BodyAppAgain Body = 2
	// BodyForm: Form, application/x-www-form-urlencoded. Secret.
	BodyForm Body = 3
)

// Outgoing is a request to send. Printing it shows no secret.
type Outgoing struct {
	Hop Hop
	// Profile is the one to connect with, and the pool to take a connection from. No other may be used.
	Profile ProfileID
	Body    Body
	Method  string
	URL     string
	// Origin is scheme, host and port: "https://reg.example:5000".
	Origin string
	// Host is the host as a resolver and TLS want it: IPv6 without brackets.
	Host  string
	Port  uint16
	HTTPS bool
	// Identity: the labels of the identities in the profile; empty where it has none.
	Identity string
	// Headers are fields to send beside the application's; values are secret. The application sets no Authorization and no
	// Cookie of its own.
	Headers []Header
	// Form is set for BodyForm. Secret.
	Form []byte
	// AnswerAtMost is how much of the body the flow wants, decoded: 0 for none, it is the application's if the flow is done
	// with this answer; otherwise all of it, or this much and one byte where it is longer.
	AnswerAtMost int
}

func (o *Outgoing) String() string { return o.Hop.String() + " " + o.Method + " to " + o.Origin }

// GoString is the same for %#v.
func (o *Outgoing) GoString() string { return o.String() }

// Query says whose credentials to look up.
type Query struct {
	// Registry is its origin.
	Registry string
	// Helper names the helper to run, docker-credential-NAME, where the configuration names one. No path: it comes from a
	// configuration file.
	Helper string
	// HelperURL goes to the helper's standard input.
	HelperURL string
}

func (f *frame) readStep(at uint64) Step {
	r := f.read(at)
	step := Step{Kind: StepKind(r.u32())}
	send := Outgoing{Hop: Hop(r.u32()), Profile: ProfileID(r.u32()), Body: Body(r.u32())}
	if step.Kind == StepSend {
		send.Method, send.URL, send.Origin, send.Host = r.text(), r.text(), r.text(), r.text()
		send.Port, send.HTTPS = uint16(r.u32()), r.u32() == 1
		send.Identity = r.text()
		send.Headers, send.Form, send.AnswerAtMost = r.headers(), r.data(), int(r.word())
		step.Send = &send
		return step
	}
	// From method to answer_at_most: fifteen words, and two numbers of four bytes.
	r.skip(15*f.m.word() + 8)
	registry, helper, helperURL := r.text(), r.text(), r.text()
	if step.Kind == StepCredentials {
		step.Query = &Query{Registry: registry, Helper: helper, HelperURL: helperURL}
	}
	step.Until = fromMillis(r.u64())
	step.Why, step.Status, step.MountDenied = Waiting(r.u32()), int(r.u32()), r.u32() == 1
	return step
}
