package device

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// What a device remembers (sections 2, 3 and 9), and its form in a file: JSON, of which all is secret.

const stateFormat = "wardein-device-1"

// A frontier has at most 32 nodes, and there are four.
const maxState = 64 << 10

// branch is one purpose: its frontier, and the next number. Both move forward only.
type branch struct {
	tree   tree
	number uint64
	// How many numbers were taken in the frontier's first epoch; for proofs, how many acks came in it.
	taken uint64
}

// take gives the next number, up to the last that there is (section 5).
func (b *branch) take() (uint64, error) {
	if b.number > maxNumber {
		return 0, ErrExhausted
	}
	b.number++
	return b.number - 1, nil
}

func (b *branch) moveTo(epoch uint64) {
	if epoch > b.tree.first() {
		b.tree, b.taken = b.tree.advance(epoch), 0
	}
}

// takeKey gives epoch, number and key of what is used up by taking it: a token, a payload, a file (section 3.1).
func (b *branch) takeKey(schedule Schedule, time uint64) (uint32, uint64, []byte, error) {
	epoch := max(b.tree.first(), schedule.due(time))
	if epoch == b.tree.first() && schedule.isSpent(b.taken) {
		if epoch == lastEpoch {
			return 0, 0, nil, ErrExhausted
		}
		epoch++
	}
	number, err := b.take()
	if err != nil {
		return 0, 0, nil, err
	}
	b.moveTo(epoch)
	b.taken++
	secret, err := b.tree.epochSecret(epoch)
	if err != nil {
		return 0, 0, nil, err
	}
	return uint32(epoch), number, numberKey(secret, number), nil
}

// branchesOf are the trees of a new generation.
func branchesOf(generationRoot []byte, purposes []Purpose) map[Purpose]*branch {
	branches := map[Purpose]*branch{}
	for _, purpose := range purposes {
		branches[purpose] = &branch{tree: treeOf(purposeRoot(generationRoot, purpose))}
	}
	return branches
}

// state is all of it. Two copies in use are a clone, and the authority finds out (section 5).
type state struct {
	tenant     string
	deviceID   string
	suite      Suite
	generation uint64
	schedule   Schedule
	// The last server_time that an ack authenticated; Unix seconds.
	knownTime uint64
	// Kept until the first ack (section 4); nil from then on.
	confirmation []byte
	// Whether a proof of this generation was acknowledged.
	isProven bool
	branches map[Purpose]*branch
}

type savedState struct {
	Format       string                  `json:"format"`
	Tenant       string                  `json:"tenant"`
	DeviceID     string                  `json:"device_id"`
	Suite        Suite                   `json:"suite"`
	Generation   uint64                  `json:"generation"`
	Schedule     Schedule                `json:"schedule"`
	KnownTime    uint64                  `json:"known_time"`
	Confirmation []byte                  `json:"confirmation"`
	Proven       bool                    `json:"proven"`
	Purposes     map[Purpose]savedBranch `json:"purposes"`
}

type savedBranch struct {
	Frontier []byte `json:"frontier"`
	Number   uint64 `json:"number"`
	Taken    uint64 `json:"taken"`
}

func (s *state) encode() []byte {
	saved := savedState{
		stateFormat, s.tenant, s.deviceID, s.suite, s.generation, s.schedule, s.knownTime, s.confirmation, s.isProven,
		map[Purpose]savedBranch{},
	}
	for purpose, branch := range s.branches {
		saved.Purposes[purpose] = savedBranch{branch.tree.encode(), branch.number, branch.taken}
	}
	out, err := json.MarshalIndent(saved, "", " ")
	if err != nil {
		// It has nothing that JSON has not.
		panic(err)
	}
	return append(out, '\n')
}

// parseState takes what encode gives, to the byte. No error says what it found: all of it is secret.
func parseState(data []byte) (*state, error) {
	s, is := stateOf(data)
	if !is || !bytes.Equal(s.encode(), data) {
		return nil, fmt.Errorf("%w: it is damaged, or not of the format %s", ErrState, stateFormat)
	}
	return s, nil
}

func stateOf(data []byte) (*state, bool) {
	var saved savedState
	if json.Unmarshal(data, &saved) != nil || saved.Format != stateFormat {
		return nil, false
	}
	if saved.Suite.check() != nil || checkDevice(saved.Tenant, saved.DeviceID) != nil || saved.Generation == 0 {
		return nil, false
	}
	if saved.Confirmation != nil && len(saved.Confirmation) != 32 {
		return nil, false
	}
	s := &state{
		saved.Tenant, saved.DeviceID, saved.Suite, saved.Generation, saved.Schedule, saved.KnownTime, saved.Confirmation, saved.Proven,
		map[Purpose]*branch{},
	}
	for purpose, each := range saved.Purposes {
		tree, err := parseTree(each.Frontier)
		// One beyond the last number: none is left.
		if err != nil || tree.last() != lastEpoch || !slices.Contains(AllPurposes, purpose) || each.Number > maxNumber+1 {
			return nil, false
		}
		s.branches[purpose] = &branch{tree, each.Number, each.Taken}
	}
	return s, s.branches[ProofPurpose] != nil
}
