// A fixture for the suite that compares the languages; handlers/probe says what it has to do.
package main

import (
	"errors"
	"fmt"

	"gristmill"
)

func init() { gristmill.Handle(handle) }

func main() {}

func handle(message *gristmill.Message) error {
	switch message.Type {
	case "fail":
		return errors.New("the probe fails, as it was asked to")
	case "crash":
		fmt.Println(message.Body[len(message.Body)])
	}
	_, err := gristmill.Send("echoes", message.Body, gristmill.Options{
		ContentType:   message.ContentType,
		Attributes:    message.Attributes,
		Group:         message.Group,
		CorrelationID: message.CorrelationID,
	})
	return err
}
