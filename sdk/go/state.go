package gristmill

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"

	"gristmill/internal/host"
)

// State is the durable store of keys and values that is private to the handler.
//
// Reads see what this delivery has written; writes become visible to others with the acknowledgement, or
// never. A delivery behaves as if it ran alone. Keys have 1 to 512 bytes, values at most 256 KiB.
var State state

type state struct{}

// Get returns the value of a key, or nil if there is none.
func (state) Get(key string) ([]byte, error) {
	value, err := host.StateGet(key)
	return value, stateError(key, err)
}

// Set sets the value of a key.
func (state) Set(key string, value []byte) error {
	return stateError(key, host.StateSet(key, value))
}

// GetJSON reads the value of a key as JSON, and says whether there was one.
func (state) GetJSON(key string, into any) (bool, error) {
	value, err := host.StateGet(key)
	if err != nil || value == nil {
		return false, stateError(key, err)
	}
	if err := json.Unmarshal(value, into); err != nil {
		return false, fmt.Errorf("the value of state key %q is not the JSON expected: %w", key, err)
	}
	return true, nil
}

// SetJSON sets the value of a key to JSON.
func (state) SetJSON(key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("the value for state key %q cannot be written as JSON: %w", key, err)
	}
	return stateError(key, host.StateSet(key, data))
}

// Remove removes a key; it need not exist.
func (state) Remove(key string) error {
	return stateError(key, host.StateRemove(key))
}

// Add adds to a counter, which starts at 0 and wraps around. Deliveries that only add to the same counter
// do not disturb each other.
func (state) Add(key string, delta int64) error {
	return stateError(key, host.StateAdd(key, delta))
}

// Counter returns what a counter stands at; 0 if there is none.
func (state) Counter(key string) (int64, error) {
	value, err := host.StateGet(key)
	if err != nil || value == nil {
		return 0, stateError(key, err)
	}
	if len(value) != 8 {
		return 0, &StateError{Key: key, Code: ErrNotACounter}
	}
	return int64(binary.LittleEndian.Uint64(value)), nil
}

const pageKeys = 100

// Keys goes through all keys that start with prefix, in byte order. They are fetched in pages, so who
// stops early conflicts with fewer other deliveries. An error ends it.
func (s state) Keys(prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		after := ""
		for {
			page, err := s.Page(prefix, after, pageKeys)
			if err != nil {
				yield("", err)
				return
			}
			for _, key := range page {
				if !yield(key, nil) {
					return
				}
			}
			if len(page) < pageKeys {
				return
			}
			after = page[len(page)-1]
		}
	}
}

// Page returns at most limit keys (and at most 1,000) that start with prefix and sort after the key after,
// if that is not empty.
func (state) Page(prefix, after string, limit int) ([]string, error) {
	limit = min(max(limit, 0), 1000)
	keys, err := host.StateKeys(prefix, after, uint32(limit))
	return keys, stateError(prefix, err)
}

// A StateError says why a key or value could not be read or written. Returned from a handler it is a
// retry.
type StateError struct {
	Key string
	// Code says which error it is, for errors.Is.
	Code error
	// Limit is the most bytes of a value, with ErrTooLarge.
	Limit uint64
	// Problem says what is wrong, with ErrUnavailable.
	Problem string
}

func stateError(key string, err error) error {
	failed, ok := err.(*host.Error)
	if !ok {
		return err
	}
	return &StateError{Key: key, Code: code(failed.Code), Limit: failed.Limit, Problem: failed.Problem}
}

// Unwrap is the code, so that errors.Is finds it.
func (e *StateError) Unwrap() error { return e.Code }

// Error says what happened, to which thing, and what to do.
func (e *StateError) Error() string {
	switch e.Code {
	case ErrInvalidKey:
		return fmt.Sprintf("a state key must have 1 to 512 bytes, but this one has %d", len(e.Key))
	case ErrTooLarge:
		return fmt.Sprintf("the value for state key %q is too large: at most %d bytes are allowed", e.Key, e.Limit)
	case ErrQuotaExceeded:
		return "the state of this handler is full, or this delivery has touched as many keys or bytes as it may: raise the limit in the configuration of the handler"
	case ErrNotACounter:
		return fmt.Sprintf("state key %q holds no counter: it was set, not added to; use another key, or remove it first", e.Key)
	}
	return "the state is unavailable: " + e.Problem
}
