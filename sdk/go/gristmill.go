// Package gristmill is for writing Gristmill handlers in Go.
//
// A handler is one function. Gristmill calls it once for every message of a queue:
//
//	func init() { gristmill.Handle(handle) }
//
//	func handle(message *gristmill.Message) error {
//		var order Order
//		if err := message.JSON(&order); err != nil { // not JSON: rejected, with the place
//			return err
//		}
//		if order.Cents < 0 {
//			return gristmill.Reject("less than nothing") // dead at once
//		}
//		return gristmill.State.Add("cents", order.Cents) // kept with the acknowledgement, or not at all
//	}
//
// nil acknowledges the message, and what was sent and stored counts. Any error is a retry after the
// back-off of the queue, and what was sent and stored is dropped; so does a panic. Reject, RetryAfter and
// Postpone make errors that say something else.
//
// Build it with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared. In a native build the same
// functions work on a fake delivery, for tests: see gristmilltest.
package gristmill

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gristmill/internal/host"
)

// A Message as it is delivered. What the sender did not give is empty or zero.
type Message struct {
	// ID is the same on every delivery of the message; use it as an idempotency key.
	ID string
	// Queue is where the message came from.
	Queue string
	// Body is exactly what was sent; empty if it is large and the handler uses Reader.
	Body []byte
	// ContentType is the media type of Body.
	ContentType string
	// Attributes are what the sender attached. Names are case-sensitive.
	Attributes map[string]string
	// Group is the ordering key: messages of a group are delivered in order, one at a time.
	Group string
	// CorrelationID ties replies to requests.
	CorrelationID string
	// CausationID is the message whose handling led to this one.
	CausationID string
	// ReplyTo is where the sender wants an answer; see Reply.
	ReplyTo string
	// Type is what kind of message this is, such as order.placed.
	Type string
	// SchemaVersion is the version of the schema that Body follows.
	SchemaVersion string
	// Source is who sent the message.
	Source string
	// Priority is 0 to 9, higher first; 4 unless the sender said otherwise.
	Priority int
	// Traceparent and Tracestate are the W3C Trace Context.
	Traceparent, Tracestate string
	// EnqueuedAt is when the queue accepted the message.
	EnqueuedAt time.Time
	// ExpiresAt is when the message expires, if it does.
	ExpiresAt time.Time
	// Attempt is 1 on the first. Attempts that are not counted do not raise it.
	Attempt int
}

// JSON reads the body into a value, as [json.Unmarshal] does. An error rejects the message: a body never
// changes, so no repetition would help.
func (m *Message) JSON(into any) error {
	if err := json.Unmarshal(m.Body, into); err != nil {
		return Reject("the body is not the JSON that this handler reads: %w", err)
	}
	return nil
}

// Reply answers to the queue that the sender named, with the acknowledgement of this message. It needs no
// permission to send to that queue otherwise. The body is as for Send.
func (m *Message) Reply(body any, options ...Options) (string, error) {
	message, err := outgoing(body, options)
	if err != nil {
		return "", err
	}
	id, err := host.Reply(m.ID, message)
	return id, sendError("", err)
}

// A Failure is an error that says what becomes of the message. Any other error is a retry.
type Failure struct {
	kind  host.Kind
	delay time.Duration
	cause error
}

// Error is the reason, which is kept with the message and shown to operators: never a secret.
func (f *Failure) Error() string {
	if f.cause == nil {
		return fmt.Sprintf("postponed for %s", f.delay)
	}
	return f.cause.Error()
}

// Unwrap is the error that the failure was made of.
func (f *Failure) Unwrap() error { return f.cause }

// Reject makes an error that says: it will never work, the message is dead now. The format is that of
// [fmt.Errorf].
func Reject(format string, args ...any) error {
	return &Failure{kind: host.Reject, cause: fmt.Errorf(format, args...)}
}

// RetryAfter makes an error that says: deliver again, but not before the delay is over.
func RetryAfter(delay time.Duration, format string, args ...any) error {
	return &Failure{kind: host.RetryAfter, delay: delay, cause: fmt.Errorf(format, args...)}
}

// Postpone makes an error that says: it is not its turn, deliver again after the delay, without counting
// the attempt.
func Postpone(delay time.Duration) error {
	return &Failure{kind: host.Postpone, delay: delay}
}

// Handle names the function that handles messages. Call it from init: main is not called.
func Handle(handler func(*Message) error) {
	host.Handler = func(delivered *host.Message) host.Outcome {
		return outcome(handler(received(delivered)))
	}
}

func outcome(err error) host.Outcome {
	if err == nil {
		return host.Outcome{Kind: host.OK}
	}
	var failure *Failure
	if errors.As(err, &failure) {
		return host.Outcome{Kind: failure.kind, Reason: err.Error(), DelayMS: ms(failure.delay)}
	}
	return host.Outcome{Kind: host.Retry, Reason: err.Error()}
}

func received(m *host.Message) *Message {
	message := &Message{
		ID: m.ID, Queue: m.Queue, Body: m.Body, ContentType: m.ContentType,
		Attributes: make(map[string]string, len(m.Attributes)),
		Group:      m.Group, CorrelationID: m.CorrelationID, CausationID: m.CausationID, ReplyTo: m.ReplyTo,
		Type: m.Type, SchemaVersion: m.SchemaVersion, Source: m.Source, Priority: int(m.Priority),
		Traceparent: m.Traceparent, Tracestate: m.Tracestate,
		EnqueuedAt: time.UnixMilli(int64(m.EnqueuedAtMS)), Attempt: int(m.Attempt),
	}
	for _, attribute := range m.Attributes {
		message.Attributes[attribute.Name] = attribute.Value
	}
	if m.ExpiresAtMS > 0 {
		message.ExpiresAt = time.UnixMilli(int64(m.ExpiresAtMS))
	}
	return message
}

// ms is a duration in whole milliseconds, rounded up: never less than was asked for.
func ms(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return uint64((d + time.Millisecond - 1) / time.Millisecond)
}
