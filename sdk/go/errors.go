package gristmill

import (
	"errors"

	"gristmill/internal/host"
)

// What can go wrong, for errors.Is. The errors themselves say more.
var (
	ErrNotPermitted  = errors.New("not permitted")
	ErrNoRecipient   = errors.New("no recipient")
	ErrTooLarge      = errors.New("too large")
	ErrTooMany       = errors.New("too many")
	ErrInvalid       = errors.New("invalid")
	ErrInvalidKey    = errors.New("invalid key")
	ErrQuotaExceeded = errors.New("quota exceeded")
	ErrNotACounter   = errors.New("not a counter")
	ErrUnavailable   = errors.New("unavailable")
	ErrLimitReached  = errors.New("limit reached")
	ErrEnding        = errors.New("ending")
	ErrNotDelivered  = errors.New("not delivered")
)

func code(of host.Code) error {
	switch of {
	case host.NotPermitted:
		return ErrNotPermitted
	case host.NoRecipient:
		return ErrNoRecipient
	case host.TooLarge:
		return ErrTooLarge
	case host.TooMany:
		return ErrTooMany
	case host.InvalidKey:
		return ErrInvalidKey
	case host.QuotaExceeded:
		return ErrQuotaExceeded
	case host.NotACounter:
		return ErrNotACounter
	case host.Unavailable:
		return ErrUnavailable
	case host.LimitReached:
		return ErrLimitReached
	case host.Ended:
		return ErrEnding
	case host.NotDelivered:
		return ErrNotDelivered
	}
	return ErrInvalid
}
