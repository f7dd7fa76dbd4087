package device

import (
	"fmt"
	"maps"
	"slices"
)

// Sections 4, 5 and 8: attributes, their digests, and what binds a proof to them.

const (
	maxAttributes     = 64
	maxAttributeValue = 4096
)

// Attributes are what a device measures of itself, by name.
type Attributes map[string][]byte

// Format shows no value, with whatever verb: a thief of the state must not learn them from a log.
func (a Attributes) Format(out fmt.State, _ rune) {
	fmt.Fprintf(out, "%d attributes", len(a))
}

func (a Attributes) check() error {
	if len(a) > maxAttributes {
		return malformed("attributes", "are more than %d", maxAttributes)
	}
	for name, value := range a {
		if err := checkAttributeName(name); err != nil {
			return err
		}
		if len(value) > maxAttributeValue {
			return malformed("attribute value", "has more than %d bytes", maxAttributeValue)
		}
	}
	return nil
}

// names are in byte order.
func (a Attributes) names() []string {
	return slices.Sorted(maps.Keys(a))
}

// Encode gives the body of the action `attributes`, and the end of an enrollment request.
func (a Attributes) Encode() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	var out []byte
	for _, name := range a.names() {
		out = frame(frame(out, name), a[name])
	}
	return out, nil
}

// attributeDigest is attribute_digest(name, value).
func attributeDigest(name string, value []byte) []byte {
	return digest(frame(frame(nil, name), value))
}

// digest is attributes_digest.
func (a Attributes) digest() []byte {
	var framed []byte
	for _, name := range a.names() {
		framed = append(frame(framed, name), attributeDigest(name, a[name])...)
	}
	return digest(framed)
}

// binding is what a proof's keys are bound to: the challenge, and what was measured for it in the order of the recipe.
func binding(challenge []byte, recipe []string, measured Attributes) ([]byte, error) {
	bound := frame(nil, challenge)
	for _, name := range recipe {
		value, is := measured[name]
		if !is {
			return nil, fmt.Errorf("%w: the authority asks for the attribute %s", ErrNotMeasured, name)
		}
		bound = append(bound, attributeDigest(name, value)...)
	}
	return digest(bound), nil
}
