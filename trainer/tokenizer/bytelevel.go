// GPT-2's spelling of bytes as printable characters, which is how tokens stand in a tokenizer.json.

package tokenizer

import "strings"

// byteChars gives each byte its character: itself where Latin-1 prints it, else the next one from U+0100 on.
// Source: bytes_to_unicode in encoder.py of openai/gpt-2.
var byteChars = func() (chars [256]rune) {
	next := rune(0x100)
	for b := range chars {
		if printable(b) {
			chars[b] = rune(b)
		} else {
			chars[b] = next
			next++
		}
	}
	return chars
}()

// charBytes is the way back, for characters below U+0180; -1 where none is a byte's.
var charBytes = func() (bytes [0x180]int16) {
	for i := range bytes {
		bytes[i] = -1
	}
	for b, c := range byteChars {
		bytes[c] = int16(b)
	}
	return bytes
}()

// byteOrder is all bytes by their characters: the order in which a new vocabulary numbers them, as GPT-2's does.
var byteOrder = func() (order []byte) {
	for _, b := range charBytes {
		if b >= 0 {
			order = append(order, byte(b))
		}
	}
	return order
}()

func printable(b int) bool {
	return '!' <= b && b <= '~' || 0xA1 <= b && b <= 0xAC || 0xAE <= b && b <= 0xFF
}

// spell writes bytes in characters.
func spell(bytes string) string {
	var s strings.Builder
	for i := range len(bytes) {
		s.WriteRune(byteChars[bytes[i]])
	}
	return s.String()
}

// unspell reads characters back into bytes; ok is false where one of them stands for no byte.
func unspell(chars string) (bytes string, ok bool) {
	b := make([]byte, 0, len(chars))
	for _, c := range chars {
		if int(c) >= len(charBytes) || charBytes[c] < 0 {
			return "", false
		}
		b = append(b, byte(charBytes[c]))
	}
	return string(b), true
}
