package device

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sections 1 and 11: which texts there are, and their bounds.

var (
	tenantText    = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)
	deviceIDText  = regexp.MustCompile(`\A[A-Za-z0-9._:-]{1,128}\z`)
	wordText      = regexp.MustCompile(`\A[a-z0-9-]{1,32}\z`)
	attributeText = regexp.MustCompile(`\A[!-~]{1,64}\z`)
)

const whyText = "is empty, too long, or has a character that it must not have"

func checkText(form *regexp.Regexp, field, text string) error {
	if !form.MatchString(text) {
		return malformed(field, whyText)
	}
	return nil
}

func checkTenant(text string) error        { return checkText(tenantText, "tenant", text) }
func checkDeviceID(text string) error      { return checkText(deviceIDText, "device id", text) }
func checkAction(text string) error        { return checkText(wordText, "action", text) }
func checkAttributeName(text string) error { return checkText(attributeText, "attribute name", text) }

func checkAudience(text string) error {
	if len(text) == 0 || len(text) > 255 {
		return malformed("audience", "has not 1 to 255 bytes")
	}
	// Control, format, and line-breaking ones: in a log they would pass for other text.
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(each rune) bool { return unicode.In(each, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }) {
		return malformed("audience", "has a character that cannot be seen")
	}
	return nil
}

func checkDevice(tenant, deviceID string) error {
	if err := checkTenant(tenant); err != nil {
		return err
	}
	return checkDeviceID(deviceID)
}
