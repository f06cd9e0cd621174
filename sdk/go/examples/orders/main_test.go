package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"gristmill/gristmilltest"
)

const lines = `"lines":[{"sku":"mill","quantity":2,"unit_price_cents":1250},{"sku":"sack","quantity":1,"unit_price_cents":5}]`

func text(more string) *gristmilltest.Message {
	return gristmilltest.Text(`{"id":"o-1","customer":"ada","currency":"EUR",` + more + `}`)
}

func TestAnOrderBecomesAnInvoiceANotificationAndATotal(t *testing.T) {
	delivery := gristmilltest.New()
	delivery.Allow("invoices")
	delivery.Allow("notifications")
	for expected := int64(1); expected <= 2; expected++ {
		if err := delivery.Run(text(lines)); err != nil {
			t.Fatal(err)
		}
		if orders := delivery.Counter("customer/ada/orders"); orders != expected {
			t.Errorf("%d orders", orders)
		}
		if cents := delivery.Counter("customer/ada/cents"); cents != expected*2505 {
			t.Errorf("%d cents", cents)
		}
	}
	invoice, notification := delivery.Sent()[0], delivery.Sent()[1]
	if invoice.To != "invoices" || invoice.Group != "ada" || invoice.ContentType != "application/json" {
		t.Errorf("%+v", invoice)
	}
	same(t, invoice.Body, `{"order":"o-1","customer":"ada","cents":2505,"currency":"EUR"}`)
	same(t, notification.Body, `{"customer":"ada","text":"Order o-1: 25.05 EUR"}`)
}

func same(t *testing.T, body []byte, expected string) {
	t.Helper()
	var is, should map[string]any
	if err := errors.Join(json.Unmarshal(body, &is), json.Unmarshal([]byte(expected), &should)); err != nil {
		t.Fatal(err)
	}
	for name, value := range should {
		if is[name] != value || len(is) != len(should) {
			t.Errorf("%s is not %s", body, expected)
		}
	}
}

func TestAnOrderThatCannotBeRightIsRejectedAndLeavesNoTrace(t *testing.T) {
	one := func(line string) *gristmilltest.Message { return text(`"lines":[` + line + `]`) }
	table := []struct {
		message  *gristmilltest.Message
		expected string
	}{
		{gristmilltest.Text(`{"id":`), "unexpected end"},
		{gristmilltest.Text(`[]`), "not the JSON"},
		{gristmilltest.Text(`{"id":"o-1","customer":null,"currency":"EUR",` + lines + `}`), "customer"},
		{text(`"lines":[]`), "no lines"},
		{one(`{"sku":"mill","quantity":0,"unit_price_cents":1}`), "line mill: 0 pieces"},
		{one(`{"sku":"mill","quantity":1,"unit_price_cents":-5}`), "at -5 cents"},
		{one(`{"sku":"mill","quantity":-1,"unit_price_cents":5}`), "not the JSON"},
		{one(`{"sku":"mill","quantity":2,"unit_price_cents":9223372036854775807}`), "too large"},
		{gristmilltest.Text(`{"id":"o-1","customer":"ada","currency":"XAU",` + lines + `}`), `unknown currency "XAU"`},
	}
	for _, row := range table {
		delivery := gristmilltest.New()
		err := delivery.Run(row.message)
		var verdict *gristmilltest.Verdict
		if !errors.As(err, &verdict) || verdict.Kind != "reject" || !strings.Contains(verdict.Reason, row.expected) {
			t.Errorf("%v should be a rejection with %q", err, row.expected)
		}
		if len(delivery.Sent()) != 0 || len(delivery.Keys()) != 0 {
			t.Errorf("%s left a trace", row.message.Body)
		}
	}
}

func TestAGatewayThatIsDownIsARetryAndTheThirdAttemptCountsOnce(t *testing.T) {
	delivery := gristmilltest.New()
	flaky := text(`"flaky":2,` + lines)
	for flaky.Attempt = 1; flaky.Attempt <= 2; flaky.Attempt++ {
		var verdict *gristmilltest.Verdict
		if err := delivery.Run(flaky); !errors.As(err, &verdict) || verdict.Kind != "retry" {
			t.Errorf("%v should be a retry", err)
		}
	}
	if err := delivery.Run(flaky); err != nil {
		t.Fatal(err)
	}
	if delivery.Counter("customer/ada/orders") != 1 || len(delivery.Sent()) != 2 {
		t.Error("it should count once")
	}
}
