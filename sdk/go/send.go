package gristmill

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"gristmill/internal/host"
)

// Options are what may be said of a message that is sent. What is left out is not said.
type Options struct {
	// ContentType is the media type of the body, if not that which Send gives it.
	ContentType string
	// Attributes are attached: at most 64, of 64 KiB together. Names that start with gristmill- are reserved.
	Attributes map[string]string
	// Group is the ordering key.
	Group string
	// CorrelationID ties the message to others.
	CorrelationID string
	// ReplyTo is the queue where an answer is wanted.
	ReplyTo string
	// Type is what kind of message it is.
	Type string
	// SchemaVersion is the version of the schema that the body follows.
	SchemaVersion string
	// Priority is 0 to 9, higher first; nil stands for 4. Ignored inside a group.
	Priority *int
	// DedupID lets the message be dropped if the queue accepted one with this id lately.
	DedupID string
	// Delay holds the message back for so long after the acknowledgement.
	Delay time.Duration
	// TTL lets the message expire so long after the acknowledgement.
	TTL time.Duration
}

// Send sends a message with the acknowledgement of this delivery: if the message in hand is not
// acknowledged, nothing is sent. It returns the id of the message.
//
// A string is sent as text, a []byte as it is, and anything else as JSON.
func Send(queue string, body any, options ...Options) (string, error) {
	message, err := outgoing(body, options)
	if err != nil {
		return "", err
	}
	id, err := host.Send(queue, message)
	return id, sendError(queue, err)
}

func outgoing(body any, options []Options) (*host.Outgoing, error) {
	var with Options
	if len(options) > 1 {
		return nil, fmt.Errorf("the message cannot be sent: its options are given %d times", len(options))
	}
	if len(options) == 1 {
		with = options[0]
	}
	data, contentType, err := encoded(body)
	if err != nil {
		return nil, err
	}
	if with.ContentType != "" {
		contentType = with.ContentType
	}
	message := &host.Outgoing{
		Body: data, ContentType: contentType, Group: with.Group, CorrelationID: with.CorrelationID,
		ReplyTo: with.ReplyTo, Type: with.Type, SchemaVersion: with.SchemaVersion, DedupID: with.DedupID,
		DelayMS: ms(with.Delay), TTLMS: ms(with.TTL),
	}
	if with.Priority != nil {
		if *with.Priority < 0 || *with.Priority > 9 {
			return nil, fmt.Errorf("the message cannot be sent: the priority must be 0 to 9, but is %d", *with.Priority)
		}
		message.HasPriority, message.Priority = true, uint8(*with.Priority)
	}
	for _, name := range slices.Sorted(maps.Keys(with.Attributes)) {
		message.Attributes = append(message.Attributes, host.Attribute{Name: name, Value: with.Attributes[name]})
	}
	return message, nil
}

func encoded(body any) (data []byte, contentType string, err error) {
	switch body := body.(type) {
	case string:
		return []byte(body), "text/plain; charset=utf-8", nil
	case []byte:
		return body, "", nil
	}
	data, err = json.Marshal(body)
	if err != nil {
		return nil, "", fmt.Errorf("the value to be sent cannot be written as JSON: %w", err)
	}
	return data, "application/json", nil
}

// A SendError says why a message cannot be sent. Returned from a handler it is a retry: a missing grant or
// a limit is cured in the configuration, and until then the message in hand must not be lost.
type SendError struct {
	// Queue is empty for a reply.
	Queue string
	// Code says which of the errors below it is, for errors.Is.
	Code error
	// Limit is the most bytes that the queue takes, with ErrTooLarge.
	Limit uint64
	// Problem says what is wrong, with ErrInvalid.
	Problem string
}

func sendError(queue string, err error) error {
	failed, ok := err.(*host.Error)
	if !ok {
		return err
	}
	return &SendError{Queue: queue, Code: code(failed.Code), Limit: failed.Limit, Problem: failed.Problem}
}

// Unwrap is the code, so that errors.Is finds it.
func (e *SendError) Unwrap() error { return e.Code }

// Error says what happened, to which thing, and what to do.
func (e *SendError) Error() string {
	switch {
	case e.Code == ErrNotPermitted && e.Queue == "":
		return "this handler may not reply: allow it in the configuration of the handler"
	case e.Code == ErrNotPermitted:
		return fmt.Sprintf("cannot send to %q: there is no such queue, or this handler may not send to it; grant it in the configuration of the handler", e.Queue)
	case e.Code == ErrNoRecipient:
		return "cannot reply: the sender named no queue for an answer, or the message is not the one in hand"
	case e.Code == ErrTooLarge:
		return fmt.Sprintf("the body is too large to send: the queue takes at most %d bytes", e.Limit)
	case e.Code == ErrTooMany:
		return "this delivery has sent as many messages or bytes as it may: raise the limit in the configuration of the handler, or leave the rest to a message sent to its own queue"
	}
	return "the message cannot be sent: " + e.Problem
}
