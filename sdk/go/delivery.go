package gristmill

import (
	"errors"
	"fmt"
	"io"
	"time"

	"gristmill/internal/host"
)

// Mark marks what was sent and stored so far; RollbackTo drops what came after the mark.
func Mark() uint32 { return host.Mark() }

// RollbackTo forgets all that was sent and stored since the mark, and all later marks.
func RollbackTo(mark uint32) { host.RollbackTo(mark) }

// Remaining is the time until the host stops the handler.
func Remaining() time.Duration { return time.Duration(host.Remaining()) * time.Millisecond }

// Extend asks that at least so much time be left from now on. It returns the time left.
func Extend(need time.Duration) (time.Duration, error) {
	left, err := host.Extend(ms(need))
	if failed, ok := err.(*host.Error); ok {
		if failed.Code == host.LimitReached {
			return 0, fmt.Errorf("no more time: the most that a delivery may take in all would be exceeded; raise max_timeout in the configuration of the handler: %w", ErrLimitReached)
		}
		return 0, fmt.Errorf("no more time: the delivery is being ended: %w", ErrEnding)
	}
	return time.Duration(left) * time.Millisecond, err
}

// Ending says whether the handler should wind up early.
func Ending() bool { return host.Ending() }

// Progress tells operators how far the delivery has come. Neither durable nor part of the transaction.
func Progress(percent int, note string) { host.Progress(uint8(min(max(percent, 0), 100)), note) }

// MaxAttempts is how many attempts a message gets; 0 if there is no limit.
func MaxAttempts() int { return int(host.MaxAttempts()) }

// PreviousFailure says why the attempt before this one failed, if it did.
func PreviousFailure() (string, bool) { return host.PreviousFailure() }

// Secret is a secret that was granted to the handler.
func Secret(name string) (string, bool) { return host.Secret(name) }

// Reader reads the body piece by piece, however large it is. A handler that calls this anywhere gets large
// bodies (by default those of more than 256 KiB) only this way: Body is empty then.
func (m *Message) Reader() (*io.SectionReader, error) {
	size, err := host.BodySize(m.ID)
	if err != nil {
		return nil, bodyError(err)
	}
	return io.NewSectionReader(body{m.ID}, 0, int64(size)), nil
}

type body struct{ of string }

// ReadAt reads from the host as much as is asked for, in pieces that it gives.
func (b body) ReadAt(into []byte, offset int64) (int, error) {
	read := 0
	for read < len(into) {
		most := min(len(into)-read, 1<<20)
		piece, err := host.BodyRead(b.of, uint64(offset)+uint64(read), uint32(most))
		if err != nil {
			return read, bodyError(err)
		}
		if len(piece) == 0 {
			return read, io.EOF
		}
		read += copy(into[read:], piece)
	}
	return read, nil
}

func bodyError(err error) error {
	failed, ok := err.(*host.Error)
	if !ok {
		return err
	}
	if failed.Code == host.NotDelivered {
		return fmt.Errorf("the message is not of this delivery, so its body cannot be read: %w", ErrNotDelivered)
	}
	return errors.New(failed.Problem)
}
