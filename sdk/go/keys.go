package device

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Section 3: keys, their names, and the schedule.

// Purpose is what a key is for. A device keeps keys for those that it uses.
type Purpose string

const (
	// ProofPurpose is for a device's requests to the authority; every device has it.
	ProofPurpose Purpose = "proof"
	// TokenPurpose is for logging in to a platform.
	TokenPurpose Purpose = "token"
	// DataPurpose is for sealed payloads.
	DataPurpose Purpose = "data"
	// FilePurpose is for the keys of sealed files.
	FilePurpose Purpose = "file"
)

// AllPurposes are those that there are, at their places in a set of purposes.
var AllPurposes = []Purpose{ProofPurpose, TokenPurpose, DataPurpose, FilePurpose}

const maxNumber = 1<<63 - 1

func checkPurposes(purposes []Purpose) error {
	isUnknown := func(purpose Purpose) bool { return !slices.Contains(AllPurposes, purpose) }
	if !slices.Contains(purposes, ProofPurpose) || slices.ContainsFunc(purposes, isUnknown) {
		return malformed("purposes", "must be proof, and any of token, data and file")
	}
	return nil
}

// setOf has a bit for each purpose, that of its place.
func setOf(purposes []Purpose) (set uint32) {
	for _, purpose := range purposes {
		set |= 1 << slices.Index(AllPurposes, purpose)
	}
	return set
}

// knownIn gives the purposes of a set, as far as this release knows them.
func knownIn(set uint32) (purposes []Purpose) {
	for place, purpose := range AllPurposes {
		if set>>place&1 == 1 {
			purposes = append(purposes, purpose)
		}
	}
	return purposes
}

// purposeRoot is the root of a purpose's tree (section 2).
func purposeRoot(generationRoot []byte, purpose Purpose) []byte {
	return expand(generationRoot, "purpose", []byte(purpose))
}

// numberKey is K[g,p,e,n].
func numberKey(epochSecret []byte, number uint64) []byte {
	return expand(epochSecret, "key", u64(nil, number))
}

// Schedule says when keys change. It holds for all purposes of a generation.
type Schedule struct {
	// Period is in seconds, 0 for none.
	Period uint64 `json:"period"`
	// MaxUses is how many keys an epoch has, 0 for no bound.
	MaxUses uint64 `json:"max_uses"`
	// NotBefore is the start of epoch 0, in Unix seconds.
	NotBefore uint64 `json:"not_before"`
}

// due is the epoch that is due at a time. Beyond the last there is none.
func (s Schedule) due(time uint64) uint64 {
	if s.Period == 0 || time < s.NotBefore {
		return 0
	}
	return min((time-s.NotBefore)/s.Period, lastEpoch)
}

// isSpent: whether so many keys are all that an epoch has.
func (s Schedule) isSpent(taken uint64) bool {
	return s.MaxUses != 0 && taken >= s.MaxUses
}

// KeyName is the name of a key; its text is canonical.
type KeyName struct {
	Tenant     string
	DeviceID   string
	Generation uint64
	Purpose    Purpose
	Epoch      uint32
	Number     uint64
}

func (k KeyName) String() string {
	return fmt.Sprintf("ddkg1:%s/%s/%d.%s.%d.%d", k.Tenant, k.DeviceID, k.Generation, k.Purpose, k.Epoch, k.Number)
}

var keyName = regexp.MustCompile(`\Addkg1:([^/]+)/([^/]+)/([0-9]{1,20})\.([a-z0-9-]{1,32})\.([0-9]{1,10})\.([0-9]{1,20})\z`)

// ParseKeyName is the inverse of KeyName.String.
func ParseKeyName(text string) (KeyName, error) {
	parts := keyName.FindStringSubmatch(text)
	if parts == nil {
		return KeyName{}, malformed("key name", "is not of the form ddkg1:tenant/device/g.purpose.e.n")
	}
	if err := checkDevice(parts[1], parts[2]); err != nil {
		return KeyName{}, err
	}
	generation, err1 := strconv.ParseUint(parts[3], 10, 64)
	epoch, err2 := strconv.ParseUint(parts[5], 10, 32)
	number, err3 := strconv.ParseUint(parts[6], 10, 64)
	name := KeyName{parts[1], parts[2], generation, Purpose(parts[4]), uint32(epoch), number}
	// Zeros before a number, too, would be a second name of one key.
	if err1 != nil || err2 != nil || err3 != nil || generation == 0 || number > maxNumber || name.String() != text {
		return KeyName{}, malformed("key name", "has a number out of bounds, or in another form")
	}
	return name, nil
}
