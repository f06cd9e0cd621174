package gristmill_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"gristmill"
	"gristmill/gristmilltest"
)

// run lets a handler handle a message.
func run(d *gristmilltest.Delivery, message *gristmilltest.Message, handler func(*gristmill.Message) error) error {
	gristmill.Handle(handler)
	return d.Run(message)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachErrorBecomesWhatItSays(t *testing.T) {
	cause := errors.New("no space left")
	table := []struct {
		err      error
		expected gristmilltest.Verdict
	}{
		{cause, gristmilltest.Verdict{Kind: "retry", Reason: "no space left"}},
		{fmt.Errorf("store: %w", cause), gristmilltest.Verdict{Kind: "retry", Reason: "store: no space left"}},
		{gristmill.Reject("no %s", "lines"), gristmilltest.Verdict{Kind: "reject", Reason: "no lines"}},
		{fmt.Errorf("order 7: %w", gristmill.Reject("no lines")), gristmilltest.Verdict{Kind: "reject", Reason: "order 7: no lines"}},
		{gristmill.RetryAfter(1500*time.Microsecond, "busy"), gristmilltest.Verdict{Kind: "retry after", Reason: "busy", Delay: 2 * time.Millisecond}},
		{gristmill.Postpone(time.Second), gristmilltest.Verdict{Kind: "postpone", Reason: "postponed for 1s", Delay: time.Second}},
	}
	for _, row := range table {
		err := run(gristmilltest.New(), gristmilltest.Text(""), func(*gristmill.Message) error { return row.err })
		var verdict *gristmilltest.Verdict
		if !errors.As(err, &verdict) || *verdict != row.expected {
			t.Errorf("%v became %v", row.err, err)
		}
	}
	if !errors.Is(gristmill.Reject("because: %w", cause), cause) {
		t.Error("a rejection hides its cause")
	}
}

func TestAHandlerSeesWhatIsThereAndWhatIsNot(t *testing.T) {
	message := gristmilltest.Text("body")
	message.SetAttribute("größe", "ü")
	message.Group, message.ExpiresAtMS, message.Attempt = "g", 6000, 3
	must(t, run(gristmilltest.New(), message, func(m *gristmill.Message) error {
		if m.Attributes["größe"] != "ü" || m.Group != "g" || m.Attempt != 3 || m.ExpiresAt != time.UnixMilli(6000) {
			t.Errorf("%+v", m)
		}
		if m.ReplyTo != "" || m.EnqueuedAt != time.UnixMilli(1_700_000_000_000) || m.Priority != 4 {
			t.Errorf("%+v", m)
		}
		return nil
	}))
	err := run(gristmilltest.New(), gristmilltest.Text("[1, x]"), func(m *gristmill.Message) error {
		return m.JSON(&struct{}{})
	})
	if err == nil || !strings.HasPrefix(err.Error(), "reject: the body is not the JSON that this handler reads") {
		t.Error(err)
	}
}

func TestWhatIsSentIsKeptByThoseWhoSucceed(t *testing.T) {
	delivery := gristmilltest.New()
	delivery.Allow("q")
	delivery.AllowUpTo("small", 4)
	message := gristmilltest.Text("")
	message.ReplyTo = "answers"
	urgent := 9
	sends := func(m *gristmill.Message) error {
		id, err := gristmill.Send("q", "ü", gristmill.Options{
			Attributes: map[string]string{"b": "2", "a": "1"}, Group: "g", Priority: &urgent, Delay: time.Second,
		})
		if err != nil || len(id) != 36 {
			t.Error(id, err)
		}
		if _, err := gristmill.Send("q", []byte{0, 0xff}); err != nil {
			return err
		}
		if _, err := m.Reply(map[string]int{"n": 1}); err != nil {
			return err
		}
		_, err = gristmill.Send("small", "12345")
		var tooLarge *gristmill.SendError
		if !errors.As(err, &tooLarge) || !errors.Is(err, gristmill.ErrTooLarge) || tooLarge.Limit != 4 {
			t.Error(err)
		}
		for options, expected := range map[*gristmill.Options]string{
			{Group: "a\nb"}:                                    "control",
			{TTL: time.Second, Delay: time.Second}:             "before it is due",
			{Attributes: map[string]string{"gristmill-x": ""}}: "reserved",
		} {
			if _, err := gristmill.Send("q", "", *options); !errors.Is(err, gristmill.ErrInvalid) || !strings.Contains(err.Error(), expected) {
				t.Error(err)
			}
		}
		_, err = gristmill.Send("elsewhere", "")
		return err
	}
	err := run(delivery, message, sends)
	if err == nil || !strings.Contains(err.Error(), `retry: cannot send to "elsewhere"`) || len(delivery.Sent()) != 0 {
		t.Error(err)
	}
	must(t, run(delivery, message, func(m *gristmill.Message) error { sends(m); return nil }))
	sent := delivery.Sent()
	if len(sent) != 3 || sent[0].Text() != "ü" || sent[0].Attribute("b") != "2" || sent[0].Attributes[0].Name != "a" {
		t.Errorf("%+v", sent)
	}
	if sent[0].Priority != 9 || sent[0].DelayMS != 1000 || sent[1].ContentType != "" || !sent[2].Reply || sent[2].CorrelationID != message.ID {
		t.Errorf("%+v", sent)
	}
	must(t, run(delivery, message, func(*gristmill.Message) error {
		for range 100 {
			if _, err := gristmill.Send("q", ""); err != nil {
				return err
			}
		}
		if _, err := gristmill.Send("q", ""); !errors.Is(err, gristmill.ErrTooMany) {
			t.Error(err)
		}
		return nil
	}))
}

func TestStateIsKeptByThoseWhoSucceed(t *testing.T) {
	delivery := gristmilltest.New()
	state := gristmill.State
	must(t, run(delivery, gristmilltest.Text(""), func(*gristmill.Message) error {
		if value, err := state.Get("a"); value != nil || err != nil {
			t.Error(value, err)
		}
		must(t, state.SetJSON("a", map[string]int{"n": 1}))
		var read struct{ N int }
		if found, err := state.GetJSON("a", &read); !found || err != nil || read.N != 1 {
			t.Error(found, err, read)
		}
		must(t, errors.Join(state.Set("empty", nil), state.Add("n", math.MaxInt64), state.Add("n", 2)))
		if value, err := state.Get("empty"); value == nil || len(value) != 0 || err != nil {
			t.Error(value, err)
		}
		if count, err := state.Counter("n"); count != math.MinInt64+1 || err != nil {
			t.Error(count, err)
		}
		if err := state.Add("a", 1); !errors.Is(err, gristmill.ErrNotACounter) || !strings.Contains(err.Error(), `"a"`) {
			t.Error(err)
		}
		for i := range 250 {
			must(t, state.Add(fmt.Sprintf("key/%03d", i), 1))
		}
		count := 0
		for key, err := range state.Keys("key/") {
			must(t, err)
			if key != fmt.Sprintf("key/%03d", count) {
				t.Error(key)
			}
			count++
		}
		mark := gristmill.Mark()
		must(t, state.Remove("a"))
		gristmill.RollbackTo(mark)
		if count != 250 || !errors.Is(state.Add("", 1), gristmill.ErrInvalidKey) {
			t.Error(count)
		}
		if err := state.Set("large", make([]byte, 256*1024+1)); !errors.Is(err, gristmill.ErrTooLarge) {
			t.Error(err)
		}
		return nil
	}))
	if delivery.Counter("n") != math.MinInt64+1 || string(delivery.State("a")) != `{"n":1}` || len(delivery.Keys()) != 253 {
		t.Error(delivery.Keys())
	}
	err := run(delivery, gristmilltest.Text(""), func(*gristmill.Message) error {
		must(t, state.Remove("a"))
		return errors.New("not this time")
	})
	if err == nil || delivery.State("a") == nil {
		t.Error("what failed was kept")
	}
}

func TestTheDeliveryAnswersAsTheTestSays(t *testing.T) {
	delivery := gristmilltest.New()
	delivery.Secrets["key"] = "s3cret"
	delivery.PreviousFailure = "before"
	body := strings.Repeat("0123456789", 200_000)
	gristmill.Handle(func(m *gristmill.Message) error {
		if left, err := gristmill.Extend(40 * time.Second); left != 40*time.Second || err != nil || gristmill.Remaining() != left {
			t.Error(left, err)
		}
		if _, err := gristmill.Extend(time.Hour); !errors.Is(err, gristmill.ErrLimitReached) {
			t.Error(err)
		}
		secret, granted := gristmill.Secret("key")
		before, failed := gristmill.PreviousFailure()
		if secret != "s3cret" || !granted || before != "before" || !failed || gristmill.MaxAttempts() != 10 || gristmill.Ending() {
			t.Error(secret, before)
		}
		gristmill.Progress(40, "on the way")
		reader, err := m.Reader()
		must(t, err)
		read, err := io.ReadAll(reader)
		if len(m.Body) != 0 || err != nil || string(read) != body {
			t.Error(len(m.Body), len(read), err)
		}
		other := *m
		other.ID = "another"
		if _, err := other.Reader(); !errors.Is(err, gristmill.ErrNotDelivered) {
			t.Error(err)
		}
		return nil
	})
	must(t, delivery.RunLarge(gristmilltest.Text(body)))
	if delivery.Percent != 40 || delivery.Note != "on the way" {
		t.Error(delivery.Note)
	}
	delivery.Ending = true
	must(t, run(delivery, gristmilltest.Text(""), func(*gristmill.Message) error {
		if _, err := gristmill.Extend(time.Second); !errors.Is(err, gristmill.ErrEnding) || !gristmill.Ending() {
			t.Error(err)
		}
		return nil
	}))
}
