// Package gristmilltest runs handlers in tests, without a host: a fake delivery with the host's rules.
//
//	delivery := gristmilltest.New()
//	order := gristmilltest.JSON(map[string]any{"id": "a1", "cents": 250})
//	if err := delivery.Run(order); err != nil { … }
//	delivery.Counter("cents")  // 250
//	delivery.Sent()[0].To      // "invoices"
//
// What the handler sent and stored is kept if it returned nil, and dropped otherwise. There is no back-off
// here, no conflict with other deliveries, and no time: what is left of it is what the test says.
package gristmilltest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"gristmill/internal/host"
)

// A Message to be handled, from a queue test, at its first attempt. Set other fields as you need them.
type Message = host.Message

// Text is a message of text.
func Text(text string) *Message {
	message := Bytes([]byte(text))
	message.ContentType = "text/plain; charset=utf-8"
	return message
}

// JSON is a message of JSON.
func JSON(value any) *Message {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	message := Bytes(body)
	message.ContentType = "application/json"
	return message
}

// Bytes is a message with no content type.
func Bytes(body []byte) *Message {
	return &Message{
		ID: "00000000-0000-7000-8000-000000000001", Queue: "test", Body: body, Priority: 4,
		EnqueuedAtMS: 1_700_000_000_000, Attempt: 1,
	}
}

// A Verdict is what a handler that failed said.
type Verdict struct {
	// Kind is "retry", "retry after", "reject" or "postpone".
	Kind   string
	Reason string
	Delay  time.Duration
}

func (v *Verdict) Error() string { return fmt.Sprintf("%s: %s", v.Kind, v.Reason) }

// Sent is a message that was sent by a handler that succeeded.
type Sent struct {
	To, ID string
	host.Outgoing
	Reply bool
}

// Text is the body as text.
func (s Sent) Text() string { return string(s.Body) }

// Attribute is the value of an attribute.
func (s Sent) Attribute(name string) string {
	for _, attribute := range s.Attributes {
		if attribute.Name == name {
			return attribute.Value
		}
	}
	return ""
}

// Delivery is a host in small: it runs handlers, and keeps what they sent and stored.
type Delivery struct {
	// Secrets are granted to the handler.
	Secrets map[string]string
	// MaxAttempts is how many attempts a message gets; 0: no limit.
	MaxAttempts int
	// PreviousFailure says why the attempt before failed; empty: it did not.
	PreviousFailure string
	// Remaining is the time left when a handler starts, and MaxRemaining how far it can be extended.
	Remaining, MaxRemaining time.Duration
	// Ending asks the handler to wind up.
	Ending bool
	// Percent and Note are what the last handler said of its progress.
	Percent int
	Note    string

	queues map[string]int
	kept   changes
	ids    int
}

// New is a host with an empty state and no secrets, where every queue may be sent to.
func New() *Delivery {
	return &Delivery{
		Secrets: map[string]string{}, MaxAttempts: 10, Remaining: 30 * time.Second,
		MaxRemaining: 15 * time.Minute, kept: changes{state: map[string]value{}, written: map[string]int{}},
	}
}

// Allow lets the handler send to a queue, and from the first call on to no other that is not so named.
func (d *Delivery) Allow(queue string) { d.AllowUpTo(queue, maxBody) }

// AllowUpTo is as Allow, for a queue that takes bodies of at most so many bytes.
func (d *Delivery) AllowUpTo(queue string, bytes int) {
	if d.queues == nil {
		d.queues = map[string]int{}
	}
	d.queues[queue] = bytes
}

// SetState stores a value.
func (d *Delivery) SetState(key string, data []byte) {
	d.kept.state[key] = value{bytes: slices.Clone(data)}
}

// SetCounter stores a counter.
func (d *Delivery) SetCounter(key string, count int64) { d.kept.state[key] = counter(count) }

// Run calls the handler that was given to gristmill.Handle. The error is nil or a *Verdict.
func (d *Delivery) Run(message *Message) error { return d.run(message, false) }

// RunLarge is as Run, with a body that is large: it is found only by Message.Reader.
func (d *Delivery) RunLarge(message *Message) error { return d.run(message, true) }

func (d *Delivery) run(message *Message, large bool) error {
	d.Percent, d.Note = 0, ""
	held := d.kept.clone()
	held.sentBytes = 0
	clear(held.written)
	attempt := &attempt{of: d, message: message, left: d.Remaining, held: held, touched: map[string]bool{}}
	delivered := *message
	if large {
		delivered.Body = nil
	}
	is := host.Run(attempt, &delivered)
	if is.Kind == host.OK {
		d.kept = attempt.held
		return nil
	}
	kinds := [...]string{"ok", "retry", "retry after", "reject", "postpone"}
	return &Verdict{Kind: kinds[is.Kind], Reason: is.Reason, Delay: time.Duration(is.DelayMS) * time.Millisecond}
}

// Sent is all that handlers which succeeded have sent, in order.
func (d *Delivery) Sent() []Sent { return d.kept.sent }

// State is the value of a key, or nil.
func (d *Delivery) State(key string) []byte { return d.kept.state[key].bytes }

// Keys are the keys of the state, in byte order.
func (d *Delivery) Keys() []string { return slices.Sorted(maps.Keys(d.kept.state)) }

// Counter is what a counter stands at; 0 if there is none.
func (d *Delivery) Counter(key string) int64 {
	found, there := d.kept.state[key]
	if there && !found.counter {
		panic(fmt.Sprintf("%q holds no counter", key))
	}
	return found.count()
}

type value struct {
	bytes   []byte
	counter bool
}

func counter(count int64) value {
	return value{bytes: binary.LittleEndian.AppendUint64(nil, uint64(count)), counter: true}
}

func (v value) count() int64 {
	if len(v.bytes) != 8 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(v.bytes))
}
