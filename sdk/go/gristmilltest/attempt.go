package gristmilltest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"gristmill/internal/host"
)

// The limits of the host, where they are not configured otherwise.
const (
	maxBody           = 64 * 1024 * 1024
	maxSends          = 100
	maxSendBytes      = 4 * 1024 * 1024
	maxAttributes     = 64
	maxAttributeName  = 256
	maxAttributeBytes = 64 * 1024
	maxEnvelopeField  = 1024
	maxStateKey       = 512
	maxStateValue     = 256 * 1024
	maxStateKeys      = 1000
	maxStateBytes     = 4 * 1024 * 1024
	maxListedKeys     = 1000
	listedPerKey      = 10
	maxBodyRead       = 1024 * 1024
)

// changes are all that a rollback undoes.
type changes struct {
	state     map[string]value
	sent      []Sent
	sentBytes int
	// written is the size of the value of each key that was changed.
	written map[string]int
}

func (c changes) clone() changes {
	c.state, c.written, c.sent = maps.Clone(c.state), maps.Clone(c.written), slices.Clone(c.sent)
	return c
}

// attempt is one run of the handler; it is the host to it.
type attempt struct {
	of      *Delivery
	message *Message
	left    time.Duration
	held    changes
	marks   []changes
	touched map[string]bool
	listed  int
}

func (a *attempt) Send(to string, message *host.Outgoing) (string, error) {
	most, allowed := maxBody, true
	if a.of.queues != nil {
		most, allowed = a.of.queues[to], hasKey(a.of.queues, to)
	}
	if !allowed {
		return "", &host.Error{Code: host.NotPermitted}
	}
	return a.hold(to, most, message, false)
}

func hasKey[V any](in map[string]V, key string) bool {
	_, there := in[key]
	return there
}

func (a *attempt) Reply(to string, message *host.Outgoing) (string, error) {
	if to != a.message.ID || a.message.ReplyTo == "" {
		return "", &host.Error{Code: host.NoRecipient}
	}
	answer := *message
	if answer.CorrelationID == "" {
		answer.CorrelationID = a.message.CorrelationID
	}
	if answer.CorrelationID == "" {
		answer.CorrelationID = a.message.ID
	}
	most, limited := a.of.queues[a.message.ReplyTo]
	if !limited {
		most = maxBody
	}
	return a.hold(a.message.ReplyTo, most, &answer, true)
}

func (a *attempt) hold(to string, most int, message *host.Outgoing, reply bool) (string, error) {
	if len(message.Body) > most {
		return "", &host.Error{Code: host.TooLarge, Limit: uint64(most)}
	}
	if problem := check(message); problem != "" {
		return "", &host.Error{Code: host.Invalid, Problem: problem}
	}
	sends := len(a.held.sent) - len(a.of.kept.sent)
	if sends >= maxSends || a.held.sentBytes+len(message.Body) > maxSendBytes {
		return "", &host.Error{Code: host.TooMany}
	}
	a.of.ids++
	sent := Sent{To: to, ID: fmt.Sprintf("00000000-0000-7000-9000-%012x", a.of.ids), Outgoing: *message, Reply: reply}
	sent.Body = slices.Clone(message.Body)
	a.held.sent = append(a.held.sent, sent)
	a.held.sentBytes += len(message.Body)
	return sent.ID, nil
}

// check says which rule of the envelope is broken.
func check(message *host.Outgoing) string {
	fields := [...][2]string{
		{"content_type", message.ContentType}, {"group", message.Group},
		{"correlation_id", message.CorrelationID}, {"type", message.Type},
		{"schema_version", message.SchemaVersion}, {"dedup_id", message.DedupID},
	}
	for _, field := range fields {
		if len(field[1]) > maxEnvelopeField {
			return fmt.Sprintf("%s must have 1 to %d bytes, but has %d", field[0], maxEnvelopeField, len(field[1]))
		}
		if strings.ContainsFunc(field[1], unicode.IsControl) {
			return field[0] + " must not contain control characters"
		}
	}
	if message.TTLMS > 0 && message.TTLMS <= message.DelayMS {
		return "the message would expire before it is due"
	}
	bytes := 0
	for _, attribute := range message.Attributes {
		bytes += len(attribute.Name) + len(attribute.Value)
	}
	if len(message.Attributes) > maxAttributes || bytes > maxAttributeBytes {
		return "a message has at most 64 attributes of 64 KiB together"
	}
	for _, attribute := range message.Attributes {
		name := attribute.Name
		if name == "" || len(name) > maxAttributeName || strings.ContainsFunc(name, unicode.IsControl) {
			return fmt.Sprintf("attribute name %q must have 1 to 256 bytes and no control characters", name)
		}
		if strings.HasPrefix(name, "gristmill-") {
			return fmt.Sprintf("attribute name %q is reserved", name)
		}
	}
	return ""
}

func (a *attempt) touch(key string) error {
	if key == "" || len(key) > maxStateKey {
		return &host.Error{Code: host.InvalidKey}
	}
	if !a.touched[key] && len(a.touched) >= maxStateKeys {
		return &host.Error{Code: host.QuotaExceeded}
	}
	a.touched[key] = true
	return nil
}

// write counts what is written, once per key.
func (a *attempt) write(key string, bytes int) error {
	total := bytes
	for written, size := range a.held.written {
		if written != key {
			total += size
		}
	}
	if total > maxStateBytes {
		return &host.Error{Code: host.QuotaExceeded}
	}
	a.held.written[key] = bytes
	return nil
}

func (a *attempt) StateGet(key string) ([]byte, error) {
	if err := a.touch(key); err != nil {
		return nil, err
	}
	return slices.Clone(a.held.state[key].bytes), nil
}

func (a *attempt) StateSet(key string, data []byte) error {
	if len(data) > maxStateValue {
		return &host.Error{Code: host.TooLarge, Limit: maxStateValue}
	}
	if err := a.touch(key); err != nil {
		return err
	}
	if err := a.write(key, len(data)); err != nil {
		return err
	}
	a.held.state[key] = value{bytes: append([]byte{}, data...)}
	return nil
}

func (a *attempt) StateRemove(key string) error {
	if err := a.touch(key); err != nil {
		return err
	}
	if err := a.write(key, 0); err != nil {
		return err
	}
	delete(a.held.state, key)
	return nil
}

func (a *attempt) StateAdd(key string, delta int64) error {
	if err := a.touch(key); err != nil {
		return err
	}
	before, there := a.held.state[key]
	if there && !before.counter {
		return &host.Error{Code: host.NotACounter}
	}
	if err := a.write(key, 8); err != nil {
		return err
	}
	a.held.state[key] = counter(before.count() + delta)
	return nil
}

func (a *attempt) StateKeys(prefix, after string, limit uint32) ([]string, error) {
	if len(prefix) > maxStateKey || len(after) > maxStateKey {
		return nil, &host.Error{Code: host.InvalidKey}
	}
	if a.listed >= maxStateKeys*listedPerKey {
		return nil, &host.Error{Code: host.QuotaExceeded}
	}
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(a.held.state)) {
		if len(keys) < int(min(limit, maxListedKeys)) && strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	a.listed += 1 + len(keys)
	return keys, nil
}

func (a *attempt) Mark() uint32 {
	a.marks = append(a.marks, a.held.clone())
	return uint32(len(a.marks) - 1)
}

func (a *attempt) RollbackTo(mark uint32) {
	if int(mark) >= len(a.marks) {
		panic(fmt.Sprintf("there is no mark %d: the host would trap here", mark))
	}
	a.held = a.marks[mark].clone()
	a.marks = a.marks[:mark+1]
}

func (a *attempt) Remaining() uint64 { return uint64(a.left / time.Millisecond) }

func (a *attempt) Extend(need uint64) (uint64, error) {
	if a.of.Ending {
		return 0, &host.Error{Code: host.Ended}
	}
	if need > uint64(a.of.MaxRemaining/time.Millisecond) {
		return 0, &host.Error{Code: host.LimitReached}
	}
	a.left = max(a.left, time.Duration(need)*time.Millisecond)
	return a.Remaining(), nil
}

func (a *attempt) Ending() bool { return a.of.Ending }

func (a *attempt) Progress(percent uint8, note string) { a.of.Percent, a.of.Note = int(percent), note }

func (a *attempt) MaxAttempts() uint32 { return uint32(a.of.MaxAttempts) }

func (a *attempt) PreviousFailure() (string, bool) {
	return a.of.PreviousFailure, a.of.PreviousFailure != ""
}

func (a *attempt) Secret(name string) (string, bool) {
	secret, granted := a.of.Secrets[name]
	return secret, granted
}

func (a *attempt) BodySize(of string) (uint64, error) {
	if of != a.message.ID {
		return 0, &host.Error{Code: host.NotDelivered}
	}
	return uint64(len(a.message.Body)), nil
}

func (a *attempt) BodyRead(of string, offset uint64, most uint32) ([]byte, error) {
	if of != a.message.ID {
		return nil, &host.Error{Code: host.NotDelivered}
	}
	body := a.message.Body
	begin := min(offset, uint64(len(body)))
	end := min(begin+uint64(min(most, maxBodyRead)), uint64(len(body)))
	return slices.Clone(body[begin:end]), nil
}
