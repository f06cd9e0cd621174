// Package host has the functions between handler and host: in a module those that the host imports and
// exports (wasm.go), in a native build those of a fake that a test puts in their place (native.go).
//
// It knows the wire and nothing of how handlers like to see it.
package host

// A Message as the host passes it; what is not there is empty or zero.
type Message struct {
	ID, Queue                                  string
	Body                                       []byte
	ContentType                                string
	Attributes                                 []Attribute
	Group, CorrelationID, CausationID, ReplyTo string
	Type, SchemaVersion, Source                string
	Priority                                   uint8
	Traceparent, Tracestate                    string
	EnqueuedAtMS, ExpiresAtMS                  uint64
	Attempt                                    uint32
}

// SetAttribute attaches an attribute, in place of an earlier one of that name.
func (m *Message) SetAttribute(name, value string) {
	for i := range m.Attributes {
		if m.Attributes[i].Name == name {
			m.Attributes[i].Value = value
			return
		}
	}
	m.Attributes = append(m.Attributes, Attribute{Name: name, Value: value})
}

// An Attribute is a name with a value.
type Attribute struct{ Name, Value string }

// An Outgoing message; what is empty or zero is not said.
type Outgoing struct {
	Body                          []byte
	ContentType                   string
	Attributes                    []Attribute
	Group, CorrelationID, ReplyTo string
	Type, SchemaVersion           string
	HasPriority                   bool
	Priority                      uint8
	DedupID                       string
	DelayMS, TTLMS                uint64
}

// A Kind of outcome. All but OK are in the order of types.failure.
type Kind int

// What becomes of a message.
const (
	OK Kind = iota
	Retry
	RetryAfter
	Reject
	Postpone
)

// An Outcome of a call.
type Outcome struct {
	Kind    Kind
	Reason  string
	DelayMS uint64
}

// A Code says which error it is.
type Code int

// The errors of all interfaces.
const (
	NotPermitted Code = iota
	NoRecipient
	TooLarge
	TooMany
	Invalid
	InvalidKey
	QuotaExceeded
	NotACounter
	Unavailable
	LimitReached
	Ended
	NotDelivered
)

// An Error of the host.
type Error struct {
	Code    Code
	Limit   uint64
	Problem string
}

func (e *Error) Error() string { return "an error of the host" }

// Handler is what was given to gristmill.Handle.
var Handler func(*Message) Outcome

func call(message *Message) Outcome {
	if Handler == nil {
		panic("no handler: call gristmill.Handle in an init function, main is not called")
	}
	return Handler(message)
}
