package device

// Sections 6 and 8: what the actions' bodies and reply bodies are made of.

const (
	actionAuthenticate = "authenticate"
	actionCertificate  = "certificate"
	actionRekey        = "rekey"
	actionAttributes   = "attributes"
	actionTrustBundle  = "trust-bundle"
)

// ParseCertificates takes the reply to `certificate`: DER, leaf first.
func ParseCertificates(replyBody []byte) ([][]byte, error) {
	r := &reader{rest: replyBody}
	var found [][]byte
	for len(r.rest) > 0 {
		found = append(found, r.framed("certificate", 1, maxBody))
	}
	if len(found) == 0 {
		r.fail("certificates", "are none")
	}
	return found, r.end("certificates")
}

func rekeyBody(suite Suite, deviceShare []byte) []byte {
	return frame(u16(nil, uint16(suite)), deviceShare)
}

type rekeyReply struct {
	authorityShare []byte
	generation     uint64
	schedule       Schedule
}

func parseRekeyReply(suite Suite, replyBody []byte) (*rekeyReply, error) {
	r := &reader{rest: replyBody}
	length := suite.authorityShareLength()
	m := &rekeyReply{r.framed("authority share", length, length), r.number("generation", 8, 2), r.schedule()}
	return m, r.end("rekey reply")
}

// transcript is T′ of section 6; proof is T of section 5.
func (m *rekeyReply) transcript(proof []byte, suite Suite, deviceShare []byte) []byte {
	return transcript("rekey", proof, uint64(suite), deviceShare, m.authorityShare, m.generation,
		m.schedule.Period, m.schedule.MaxUses, m.schedule.NotBefore)
}

// nextRoot is root[g+1]: it needs the former keys and the new agreement both.
func nextRoot(epochSecret, ikm, rekeyTranscript []byte) []byte {
	salt := expand(epochSecret, "rekey", rekeyTranscript)
	return expand(extract(salt, ikm), "root", rekeyTranscript)
}
