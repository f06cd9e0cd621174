// An example of ordinary work: an order becomes an invoice and a notification, and the totals of the
// customer are kept.
//
// All of it counts together with the acknowledgement, or not at all. An order that cannot be right is
// rejected; trouble that may pass, here a payment gateway that is down at first, is a retry. CURRENCIES in
// the environment names the currencies taken.
package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"gristmill"
)

type order struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Currency string `json:"currency"`
	Lines    []line `json:"lines"`
	// Flaky is for demonstrations: so many attempts fail before the gateway answers.
	Flaky uint32 `json:"flaky"`
}

type line struct {
	SKU            string `json:"sku"`
	Quantity       uint32 `json:"quantity"`
	UnitPriceCents *int64 `json:"unit_price_cents"`
}

func init() { gristmill.Handle(handle) }

func main() {}

func handle(message *gristmill.Message) error {
	var order order
	if err := message.JSON(&order); err != nil {
		return err
	}
	if err := order.check(); err != nil {
		return err
	}
	cents, err := total(&order)
	if err != nil {
		return err
	}
	if err := charge(&order, message.Attempt); err != nil {
		return err
	}

	customer := order.Customer
	if err := gristmill.State.Add("customer/"+customer+"/orders", 1); err != nil {
		return err
	}
	if err := gristmill.State.Add("customer/"+customer+"/cents", cents); err != nil {
		return err
	}

	invoice := map[string]any{"order": order.ID, "customer": customer, "cents": cents, "currency": order.Currency}
	if _, err := gristmill.Send("invoices", invoice, gristmill.Options{Group: customer}); err != nil {
		return err
	}
	text := fmt.Sprintf("Order %s: %d.%02d %s", order.ID, cents/100, cents%100, order.Currency)
	if _, err := gristmill.Send("notifications", map[string]string{"customer": customer, "text": text}); err != nil {
		return err
	}
	fmt.Println(text)
	return nil
}

// check looks for what has to be there: to encoding/json, what is missing or null is zero.
func (o *order) check() error {
	missing := ""
	switch {
	case o.ID == "":
		missing = "id"
	case o.Customer == "":
		missing = "customer"
	case slices.ContainsFunc(o.Lines, func(line line) bool { return line.UnitPriceCents == nil }):
		missing = "unit_price_cents"
	}
	if missing != "" {
		return gristmill.Reject("the body is not the JSON that this handler reads: missing field %q", missing)
	}
	return nil
}

// total is what the order costs, if it can be right at all.
func total(order *order) (int64, error) {
	known, given := os.LookupEnv("CURRENCIES")
	if !given {
		known = "EUR USD GBP CHF"
	}
	if !slices.Contains(strings.Fields(known), order.Currency) {
		return 0, gristmill.Reject("unknown currency %q: use one of %s", order.Currency, known)
	}
	if len(order.Lines) == 0 {
		return 0, gristmill.Reject("the order has no lines")
	}
	var cents int64
	for _, line := range order.Lines {
		pieces, price := int64(line.Quantity), *line.UnitPriceCents
		if pieces == 0 || price < 0 {
			return 0, gristmill.Reject("line %s: %d pieces at %d cents", line.SKU, pieces, price)
		}
		if price > (math.MaxInt64-cents)/pieces {
			return 0, gristmill.Reject("the total is too large")
		}
		cents += pieces * price
	}
	return cents, nil
}

// charge stands for a call to a payment gateway that is down at first.
func charge(order *order, attempt int) error {
	if attempt > int(order.Flaky) {
		return nil
	}
	return fmt.Errorf("payment gateway: 503 Service Unavailable for order %s", order.ID)
}
