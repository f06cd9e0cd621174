//go:build wasip1

package host

import (
	"runtime/debug"
	"structs"
	"unsafe"
)

// wit/queue.wit in the canonical ABI of the component model, where an address has 32 bits: so they are
// numbers here, and what they point to is held.

type text struct {
	_          structs.HostLayout
	data, size uint32
}

type optionalText struct {
	_     structs.HostLayout
	some  uint8
	value text
}

type optionalU64 struct {
	_     structs.HostLayout
	some  uint8
	value uint64
}

type wireAttribute struct {
	_           structs.HostLayout
	name, value text
}

type wireMessage struct {
	_                                          structs.HostLayout
	id, queue, body                            text
	contentType                                optionalText
	attributes                                 text
	group, correlationID, causationID, replyTo optionalText
	messageType, schemaVersion, source         optionalText
	priority                                   uint8
	trace                                      struct {
		some                    uint8
		traceparent, tracestate text
	}
	enqueuedAt uint64
	expiresAt  optionalU64
	attempt    uint32
}

// wireOutcome is result<_, failure>; the reason is there unless it is postponed, and the delay follows it.
type wireOutcome struct {
	_       structs.HostLayout
	failed  uint8
	failure struct {
		tag    uint8
		_      [7]byte
		reason text
		delay  uint64
	}
}

type wireOutgoing struct {
	_                             structs.HostLayout
	to, body                      text
	contentType                   optionalText
	attributes                    text
	group, correlationID, replyTo optionalText
	messageType, schemaVersion    optionalText
	priority                      struct{ some, value uint8 }
	dedupID                       optionalText
	delay, ttl                    optionalU64
}

// The sizes that the canonical ABI gives; tests/tests/native.rs compares them with the interface.
var (
	_ [184]byte = [unsafe.Sizeof(wireMessage{})]byte{}
	_ [144]byte = [unsafe.Sizeof(wireOutgoing{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(wireOutcome{})]byte{}
)

// held is what the host or the handler still points to by number. Nothing moves in Go's heap.
var held [][]byte

func hold(size uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	// In words, so that all is aligned.
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))), size)
	held = append(held, memory)
	return unsafe.Pointer(unsafe.SliceData(memory))
}

func release() {
	clear(held)
	held = held[:0]
}

// Memory for what the host passes in. While it asks, it may not be called, and the collector calls it: it
// reads the clock. So none runs between calls, nor while a function of the host runs that may answer with much;
// what answers with little has a place for that.

func init() { debug.SetGCPercent(-1) }

// How much the heap grows between two collections, in percent; as Go has it.
const collecting = 100

// quietly calls a function of the host with the collector at rest. To end it waits for one that is at work.
func quietly(call func()) {
	debug.SetGCPercent(-1)
	call()
	debug.SetGCPercent(collecting)
}

// little is where short answers are put: ids, secrets, reasons.
var (
	little     [1 << 10]uint64
	littleUsed uint32
)

//go:wasmexport cabi_export_realloc
func exportRealloc(_ unsafe.Pointer, _, _, size uint32) unsafe.Pointer { return hold(uintptr(size)) }

//go:wasmexport cabi_import_realloc
func importRealloc(_ unsafe.Pointer, _, align, size uint32) unsafe.Pointer {
	begin := (littleUsed + align - 1) &^ (align - 1)
	if begin+size <= uint32(unsafe.Sizeof(little)) {
		littleUsed = begin + size
		return unsafe.Add(unsafe.Pointer(&little), begin)
	}
	return hold(uintptr(size))
}

// The adapter takes two pieces of 64 KiB once, for its stack and its state, while Go's own start is under
// way: there is no heap yet, and memory must not grow behind the back of Go's allocator.
var (
	adapterMemory [3 << 16]byte
	adapterUsed   uint32
)

//go:wasmexport cabi_realloc
func adapterRealloc(_ unsafe.Pointer, _, align, size uint32) unsafe.Pointer {
	base := uint32(uintptr(unsafe.Pointer(&adapterMemory)))
	at := (base + adapterUsed + align - 1) &^ (align - 1)
	if at+size > base+uint32(len(adapterMemory)) {
		return nil
	}
	adapterUsed = at + size - base
	return unsafe.Pointer(uintptr(at))
}

// Texts to the host are copied, so that they are where the collector finds them by held.

func lower(bytes []byte) text {
	memory := hold(uintptr(len(bytes)))
	copy(unsafe.Slice((*byte)(memory), len(bytes)), bytes)
	return text{data: uint32(uintptr(memory)), size: uint32(len(bytes))}
}

func lowerText(s string) text { return lower([]byte(s)) }

func lowerOptional(s string) optionalText {
	if s == "" {
		return optionalText{}
	}
	return optionalText{some: 1, value: lowerText(s)}
}

func lowerNumber(n uint64) optionalU64 {
	if n == 0 {
		return optionalU64{}
	}
	return optionalU64{some: 1, value: n}
}

// What the host passes to a call is in memory that is not used again, and is not copied; what it answers is.

func (t text) lift() []byte {
	if t.size == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(at(t.data)), t.size)
}

func (t text) liftText() string { return string(t.lift()) }

func (t text) copied() []byte { return append([]byte{}, t.lift()...) }

func (t optionalText) lift() string {
	if t.some == 0 {
		return ""
	}
	return t.value.liftText()
}

// at is the address that a number stands for.
func at(address uint32) unsafe.Pointer {
	pointer := uintptr(address)
	return *(*unsafe.Pointer)(unsafe.Pointer(&pointer))
}

func elements[T any](list text) []T {
	if list.size == 0 {
		return nil
	}
	return unsafe.Slice((*T)(at(list.data)), list.size)
}

// Where results are put. On Go's stack they would move when the host asks for memory.
var (
	outcome wireOutcome
	request wireOutgoing
	result  [4]uint64
	answer  = unsafe.Pointer(&result)
)

// What stands in the result at an offset.

func byteAt(offset uintptr) uint8    { return *(*uint8)(unsafe.Add(answer, offset)) }
func numberAt(offset uintptr) uint64 { return *(*uint64)(unsafe.Add(answer, offset)) }
func wordAt(offset uintptr) uint32   { return *(*uint32)(unsafe.Add(answer, offset)) }
func textAt(offset uintptr) text     { return *(*text)(unsafe.Add(answer, offset)) }
func optionAt(offset uintptr) (string, bool) {
	if byteAt(offset) == 0 {
		return "", false
	}
	return textAt(offset + 4).liftText(), true
}

//go:wasmexport gristmill:queue/handler@0.1.0#handle
func handle(message unsafe.Pointer) unsafe.Pointer {
	debug.SetGCPercent(collecting)
	is := call(lift((*wireMessage)(message)))
	outcome = wireOutcome{}
	if is.Kind != OK {
		outcome.failed = 1
		outcome.failure.tag = uint8(is.Kind - Retry)
		outcome.failure.reason = lowerText(valid(is.Reason))
		outcome.failure.delay = is.DelayMS
		if is.Kind == Postpone {
			*(*uint64)(unsafe.Pointer(&outcome.failure.reason)) = is.DelayMS
		}
	}
	debug.SetGCPercent(-1)
	return unsafe.Pointer(&outcome)
}

//go:wasmexport cabi_post_gristmill:queue/handler@0.1.0#handle
func handled(unsafe.Pointer) { release() }

// valid is the text as UTF-8: the host takes no other, and a reason must not get lost.
func valid(s string) string { return string([]rune(s)) }

func lift(wire *wireMessage) *Message {
	message := &Message{
		ID: wire.id.liftText(), Queue: wire.queue.liftText(), Body: wire.body.lift(),
		ContentType: wire.contentType.lift(), Group: wire.group.lift(),
		CorrelationID: wire.correlationID.lift(), CausationID: wire.causationID.lift(),
		ReplyTo: wire.replyTo.lift(), Type: wire.messageType.lift(),
		SchemaVersion: wire.schemaVersion.lift(), Source: wire.source.lift(), Priority: wire.priority,
		EnqueuedAtMS: wire.enqueuedAt, Attempt: wire.attempt,
	}
	for _, attribute := range elements[wireAttribute](wire.attributes) {
		lifted := Attribute{Name: attribute.name.liftText(), Value: attribute.value.liftText()}
		message.Attributes = append(message.Attributes, lifted)
	}
	if wire.trace.some != 0 {
		message.Traceparent = wire.trace.traceparent.liftText()
		message.Tracestate = wire.trace.tracestate.liftText()
	}
	if wire.expiresAt.some != 0 {
		message.ExpiresAtMS = wire.expiresAt.value
	}
	return message
}

//go:wasmimport gristmill:queue/producer@0.1.0 send
func producerSend(message, result unsafe.Pointer)

//go:wasmimport gristmill:queue/producer@0.1.0 reply
func producerReply(message, result unsafe.Pointer)

//go:wasmimport gristmill:queue/state@0.1.0 get
func stateGet(key, keySize uint32, result unsafe.Pointer)

//go:wasmimport gristmill:queue/state@0.1.0 set
func stateSet(key, keySize, value, valueSize uint32, result unsafe.Pointer)

//go:wasmimport gristmill:queue/state@0.1.0 remove
func stateRemove(key, keySize uint32, result unsafe.Pointer)

//go:wasmimport gristmill:queue/state@0.1.0 add
func stateAdd(key, keySize uint32, delta int64, result unsafe.Pointer)

//go:wasmimport gristmill:queue/state@0.1.0 list-keys
func stateListKeys(prefix, prefixSize, hasAfter, after, afterSize, limit uint32, result unsafe.Pointer)

//go:wasmimport gristmill:queue/transaction@0.1.0 mark
func transactionMark() uint32

//go:wasmimport gristmill:queue/transaction@0.1.0 rollback-to
func transactionRollbackTo(mark uint32)

//go:wasmimport gristmill:queue/delivery@0.1.0 remaining
func deliveryRemaining() uint64

//go:wasmimport gristmill:queue/delivery@0.1.0 extend
func deliveryExtend(need uint64, result unsafe.Pointer)

//go:wasmimport gristmill:queue/delivery@0.1.0 ending
func deliveryEnding() uint32

//go:wasmimport gristmill:queue/delivery@0.1.0 progress
func deliveryProgress(percent, note, noteSize uint32)

//go:wasmimport gristmill:queue/delivery@0.1.0 max-attempts
func deliveryMaxAttempts(result unsafe.Pointer)

//go:wasmimport gristmill:queue/delivery@0.1.0 previous-failure
func deliveryPreviousFailure(result unsafe.Pointer)

//go:wasmimport gristmill:queue/secrets@0.1.0 get
func secretsGet(name, nameSize uint32, result unsafe.Pointer)

//go:wasmimport gristmill:queue/body@0.1.0 size
func bodySize(of, ofSize uint32, result unsafe.Pointer)

//go:wasmimport gristmill:queue/body@0.1.0 read
func bodyRead(of, ofSize uint32, offset uint64, most uint32, result unsafe.Pointer)

func lowerOutgoing(to string, message *Outgoing) {
	attributes := make([]wireAttribute, 0, len(message.Attributes))
	for _, attribute := range message.Attributes {
		attributes = append(attributes, wireAttribute{name: lowerText(attribute.Name), value: lowerText(attribute.Value)})
	}
	list := text{size: uint32(len(attributes))}
	if len(attributes) > 0 {
		size := uintptr(len(attributes)) * unsafe.Sizeof(attributes[0])
		list.data = lower(unsafe.Slice((*byte)(unsafe.Pointer(&attributes[0])), size)).data
	}
	request = wireOutgoing{
		to: lowerText(to), body: lower(message.Body), contentType: lowerOptional(message.ContentType),
		attributes: list, group: lowerOptional(message.Group),
		correlationID: lowerOptional(message.CorrelationID), replyTo: lowerOptional(message.ReplyTo),
		messageType: lowerOptional(message.Type), schemaVersion: lowerOptional(message.SchemaVersion),
		dedupID: lowerOptional(message.DedupID), delay: lowerNumber(message.DelayMS), ttl: lowerNumber(message.TTLMS),
	}
	if message.HasPriority {
		request.priority.some, request.priority.value = 1, message.Priority
	}
}

// Errors that have a number among their cases are aligned at 8 bytes: which case is at 8, and what comes
// with it at 16.

func failure(codes ...Code) *Error {
	failed := &Error{Code: codes[min(int(byteAt(8)), len(codes)-1)]}
	switch failed.Code {
	case TooLarge:
		failed.Limit = numberAt(16)
	case Invalid, Unavailable:
		failed.Problem = textAt(16).liftText()
	}
	return failed
}

func sent() (string, error) {
	if byteAt(0) != 0 {
		return "", failure(NotPermitted, NoRecipient, TooLarge, TooMany, Invalid)
	}
	return textAt(8).liftText(), nil
}

func stored() error {
	if byteAt(0) != 0 {
		return failure(InvalidKey, TooLarge, QuotaExceeded, NotACounter, Unavailable)
	}
	return nil
}

// bodyFailure is an error of body, which has no number among its cases: all of it is where it begins.
func bodyFailure(at uintptr) error {
	if byteAt(at) == 0 {
		return &Error{Code: NotDelivered}
	}
	return &Error{Code: Unavailable, Problem: textAt(at + 4).liftText()}
}

// What a handler calls; see the interface of the same name in wit/queue.wit.

func Send(to string, message *Outgoing) (string, error) {
	lowerOutgoing(to, message)
	littleUsed = 0
	producerSend(unsafe.Pointer(&request), answer)
	return sent()
}

func Reply(to string, message *Outgoing) (string, error) {
	lowerOutgoing(to, message)
	littleUsed = 0
	producerReply(unsafe.Pointer(&request), answer)
	return sent()
}

func StateGet(key string) ([]byte, error) {
	k := lowerText(key)
	littleUsed = 0
	quietly(func() { stateGet(k.data, k.size, answer) })
	if err := stored(); err != nil || byteAt(8) == 0 {
		return nil, err
	}
	return textAt(12).copied(), nil
}

func StateSet(key string, value []byte) error {
	k, v := lowerText(key), lower(value)
	littleUsed = 0
	stateSet(k.data, k.size, v.data, v.size, answer)
	return stored()
}

func StateRemove(key string) error {
	k := lowerText(key)
	littleUsed = 0
	stateRemove(k.data, k.size, answer)
	return stored()
}

func StateAdd(key string, delta int64) error {
	k := lowerText(key)
	littleUsed = 0
	stateAdd(k.data, k.size, delta, answer)
	return stored()
}

func StateKeys(prefix, after string, limit uint32) ([]string, error) {
	p, a := lowerText(prefix), lowerOptional(after)
	littleUsed = 0
	quietly(func() { stateListKeys(p.data, p.size, uint32(a.some), a.value.data, a.value.size, limit, answer) })
	if err := stored(); err != nil {
		return nil, err
	}
	var keys []string
	for _, key := range elements[text](textAt(8)) {
		keys = append(keys, key.liftText())
	}
	return keys, nil
}

func Mark() uint32 { return transactionMark() }

func RollbackTo(mark uint32) { transactionRollbackTo(mark) }

func Remaining() uint64 { return deliveryRemaining() }

func Extend(need uint64) (uint64, error) {
	littleUsed = 0
	deliveryExtend(need, answer)
	if byteAt(0) != 0 {
		return 0, &Error{Code: LimitReached + Code(byteAt(8))}
	}
	return numberAt(8), nil
}

func Ending() bool { return deliveryEnding() != 0 }

func Progress(percent uint8, note string) {
	n := lowerText(note)
	deliveryProgress(uint32(percent), n.data, n.size)
}

func MaxAttempts() uint32 {
	deliveryMaxAttempts(answer)
	if byteAt(0) == 0 {
		return 0
	}
	return wordAt(4)
}

func PreviousFailure() (string, bool) {
	littleUsed = 0
	deliveryPreviousFailure(answer)
	return optionAt(0)
}

func Secret(name string) (string, bool) {
	n := lowerText(name)
	littleUsed = 0
	secretsGet(n.data, n.size, answer)
	return optionAt(0)
}

func BodySize(of string) (uint64, error) {
	id := lowerText(of)
	littleUsed = 0
	bodySize(id.data, id.size, answer)
	if byteAt(0) != 0 {
		return 0, bodyFailure(8)
	}
	return numberAt(8), nil
}

func BodyRead(of string, offset uint64, most uint32) ([]byte, error) {
	id := lowerText(of)
	littleUsed = 0
	quietly(func() { bodyRead(id.data, id.size, offset, most, answer) })
	if byteAt(0) != 0 {
		return nil, bodyFailure(4)
	}
	return textAt(4).copied(), nil
}
