//go:build !wasip1

package host

// A Host in small, for tests.
type Host interface {
	Send(to string, message *Outgoing) (string, error)
	Reply(to string, message *Outgoing) (string, error)
	StateGet(key string) ([]byte, error)
	StateSet(key string, value []byte) error
	StateRemove(key string) error
	StateAdd(key string, delta int64) error
	StateKeys(prefix, after string, limit uint32) ([]string, error)
	Mark() uint32
	RollbackTo(mark uint32)
	Remaining() uint64
	Extend(need uint64) (uint64, error)
	Ending() bool
	Progress(percent uint8, note string)
	MaxAttempts() uint32
	PreviousFailure() (string, bool)
	Secret(name string) (string, bool)
	BodySize(of string) (uint64, error)
	BodyRead(of string, offset uint64, most uint32) ([]byte, error)
}

var current Host

// Run calls the handler with a fake in place of the host.
func Run(fake Host, message *Message) Outcome {
	if current != nil {
		panic("a delivery is already running: a handler cannot run another")
	}
	current = fake
	defer func() { current = nil }()
	return call(message)
}

func running() Host {
	if current == nil {
		panic("no delivery is running: call the handler through gristmilltest")
	}
	return current
}

// What a handler calls; see the interface of the same name in wit/queue.wit.

func Send(to string, message *Outgoing) (string, error)  { return running().Send(to, message) }
func Reply(to string, message *Outgoing) (string, error) { return running().Reply(to, message) }
func StateGet(key string) ([]byte, error)                { return running().StateGet(key) }
func StateSet(key string, value []byte) error            { return running().StateSet(key, value) }
func StateRemove(key string) error                       { return running().StateRemove(key) }
func StateAdd(key string, delta int64) error             { return running().StateAdd(key, delta) }
func StateKeys(prefix, after string, limit uint32) ([]string, error) {
	return running().StateKeys(prefix, after, limit)
}
func Mark() uint32                        { return running().Mark() }
func RollbackTo(mark uint32)              { running().RollbackTo(mark) }
func Remaining() uint64                   { return running().Remaining() }
func Extend(need uint64) (uint64, error)  { return running().Extend(need) }
func Ending() bool                        { return running().Ending() }
func Progress(percent uint8, note string) { running().Progress(percent, note) }
func MaxAttempts() uint32                 { return running().MaxAttempts() }
func PreviousFailure() (string, bool)     { return running().PreviousFailure() }
func Secret(name string) (string, bool)   { return running().Secret(name) }
func BodySize(of string) (uint64, error)  { return running().BodySize(of) }
func BodyRead(of string, offset uint64, most uint32) ([]byte, error) {
	return running().BodyRead(of, offset, most)
}
