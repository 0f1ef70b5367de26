// manifest.json: what a checkpoint consists of, in one canonical spelling and with a checksum of its own.

package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// manifestName is the file that makes a directory a checkpoint.
const manifestName = "manifest.json"

// formatVersion is the version of the manifest and of what it stands for.
const formatVersion = 1

// Info is what a checkpoint says about its run.
type Info struct {
	RunID        string
	Fingerprints map[string]string // of what a resume must find unchanged (data, tokenizer, configuration …), by name
}

// Sum is a file's size in bytes and the SHA-256 of its contents in lower-case hexadecimal.
type Sum struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Manifest describes a checkpoint. Its fields stand in the order of their JSON keys, which the canonical spelling sorts.
type Manifest struct {
	// Checksum is the SHA-256 of the manifest's bytes when this field is empty.
	Checksum      string            `json:"checksum"`
	Files         map[string]Sum    `json:"files"` // all but the manifest
	Fingerprints  map[string]string `json:"fingerprints"`
	FormatVersion int               `json:"format_version"`
	RunID         string            `json:"run_id"`
	Step          int64             `json:"step"`
}

// encode returns the canonical bytes, checksum included, whatever m.Checksum holds.
func (m Manifest) encode() []byte {
	m.Checksum = ""
	sum := sha256.Sum256(m.spell())
	m.Checksum = hex.EncodeToString(sum[:])
	return m.spell()
}

// spell writes JSON with sorted keys, an indent of two spaces, and a newline at the end. Strings are escaped as encoding/json
// does without its HTML escapes.
func (m Manifest) spell() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		panic(err) // strings and numbers: cannot fail
	}
	return b.Bytes()
}

// newManifest refuses text that would not survive being written as JSON.
func newManifest(step int64, info Info, files map[string]Sum) (Manifest, error) {
	m := Manifest{Files: files, Fingerprints: map[string]string{}, FormatVersion: formatVersion, RunID: info.RunID, Step: step}
	valid := utf8.ValidString(info.RunID)
	for name, fingerprint := range info.Fingerprints {
		m.Fingerprints[name] = fingerprint
		valid = valid && utf8.ValidString(name) && utf8.ValidString(fingerprint)
	}
	if !valid {
		return m, errors.New("the run id or a fingerprint is not valid UTF-8")
	}
	return m, nil
}

// decode accepts the canonical bytes and nothing else, so that no damage to them passes.
func decode(b []byte) (Manifest, error) {
	var version struct {
		FormatVersion int `json:"format_version"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return Manifest{}, fmt.Errorf("damaged (not JSON: %w)", err)
	}
	if version.FormatVersion > formatVersion {
		return Manifest{}, fmt.Errorf("format version %d, this program knows up to %d", version.FormatVersion, formatVersion)
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("damaged (%w)", err)
	}
	if !bytes.Equal(m.encode(), b) {
		return Manifest{}, errors.New("damaged (its checksum or its spelling is wrong)")
	}
	if m.FormatVersion != formatVersion || m.Step < 0 {
		return Manifest{}, fmt.Errorf("format version %d and step %d cannot be", m.FormatVersion, m.Step)
	}
	for name := range m.Files {
		if err := checkFileName(name); err != nil {
			return Manifest{}, err
		}
	}
	return m, nil
}

// checkFileName refuses what cannot be a file of a checkpoint.
func checkFileName(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("file name %w", err)
	}
	if name == manifestName || !utf8.ValidString(name) {
		return fmt.Errorf("file name %q cannot be", name)
	}
	return nil
}
