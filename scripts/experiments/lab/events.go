package main

// TensorBoard's event files, as far as histograms need them; docs/format.md gives them to the byte.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// histogram is how the elements of a tensor are distributed.
type histogram struct {
	num, sumSquares float64
	limits, counts  []float64 // counts[i] elements lie from limits[i-1] to limits[i]
}

// history is a tensor's histograms over the steps.
type history struct {
	steps []int
	of    []histogram
}

// readHistories reads the histograms of all event files of a logging_dir, by tag.
func readHistories(dir string) (map[string]*history, error) {
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil {
		return nil, err
	}
	all := map[string]*history{}
	for _, name := range files { // in the order of their names, which is that of their times
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := readEvents(content, all); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no histograms: train with monitoring.histogram_steps", dir)
	}
	return all, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checked(data []byte, sum uint32) error {
	crc := crc32.Checksum(data, castagnoli)
	if (crc>>15|crc<<17)+0xa282ead8 != sum {
		return errors.New("a record's checksum does not hold")
	}
	return nil
}

// readEvents reads the records of a file; half a one at the end is what a kill leaves.
func readEvents(content []byte, all map[string]*history) error {
	for len(content) >= 12 {
		size := binary.LittleEndian.Uint64(content)
		if err := checked(content[:8], binary.LittleEndian.Uint32(content[8:])); err != nil {
			return err
		}
		if size > uint64(len(content)) || uint64(len(content)) < size+16 {
			return nil
		}
		data := content[12 : 12+size]
		if err := checked(data, binary.LittleEndian.Uint32(content[12+size:])); err != nil {
			return err
		}
		if err := readEvent(data, all); err != nil {
			return err
		}
		content = content[size+16:]
	}
	return nil
}

// The numbers of the fields in tensorflow's event.proto and summary.proto.
const (
	eventStep, eventSummary                                       = 2, 5
	summaryValue                                                  = 1
	valueTag, valueHistogram                                      = 1, 5
	histogramNum, histogramSumSquares, histogramLimit, histogramN = 3, 5, 6, 7
)

// fieldsOf calls take for each field of a message: number is a varint's value or a fixed one's bits, data a length-delimited one's.
func fieldsOf(message []byte, take func(field protowire.Number, number uint64, data []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var number uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := take(field, number, data); err != nil {
			return err
		}
	}
	return nil
}

func readEvent(data []byte, all map[string]*history) error {
	step, summary := 0, []byte(nil)
	if err := fieldsOf(data, func(field protowire.Number, number uint64, data []byte) error {
		switch field {
		case eventStep:
			step = int(number)
		case eventSummary:
			summary = data
		}
		return nil
	}); err != nil {
		return err
	}
	return fieldsOf(summary, func(field protowire.Number, _ uint64, value []byte) error {
		if field != summaryValue {
			return nil
		}
		return readValue(value, step, all)
	})
}

// readValue adds a value to its tag's history if it is a histogram. What a resumed run does again takes the older one's place.
func readValue(value []byte, step int, all map[string]*history) error {
	tag, found := "", false
	var h histogram
	if err := fieldsOf(value, func(field protowire.Number, _ uint64, data []byte) (err error) {
		switch field {
		case valueTag:
			tag = string(data)
		case valueHistogram:
			found = true
			h, err = readHistogram(data)
		}
		return err
	}); err != nil || !found {
		return err
	}
	if all[tag] == nil {
		all[tag] = &history{}
	}
	past := all[tag]
	for n := len(past.steps); n > 0 && past.steps[n-1] >= step; n-- {
		past.steps, past.of = past.steps[:n-1], past.of[:n-1]
	}
	past.steps, past.of = append(past.steps, step), append(past.of, h)
	return nil
}

func readHistogram(data []byte) (h histogram, err error) {
	err = fieldsOf(data, func(field protowire.Number, number uint64, data []byte) error {
		switch field {
		case histogramNum:
			h.num = math.Float64frombits(number)
		case histogramSumSquares:
			h.sumSquares = math.Float64frombits(number)
		case histogramLimit:
			h.limits = doubles(data)
		case histogramN:
			h.counts = doubles(data)
		}
		return nil
	})
	if err == nil && len(h.limits) != len(h.counts) {
		err = errors.New("a histogram has not as many limits as counts")
	}
	return h, err
}

// doubles reads a packed repeated double.
func doubles(data []byte) (list []float64) {
	for chunk := range slices.Chunk(data, 8) {
		if len(chunk) == 8 {
			list = append(list, math.Float64frombits(binary.LittleEndian.Uint64(chunk)))
		}
	}
	return list
}

// rms is the root mean square of the elements.
func (h histogram) rms() float64 { return math.Sqrt(h.sumSquares / h.num) }

// magnitudes are the shares of the elements by the decimal logarithm of their magnitudes: from low, bins of that width. What lies
// outside is in the first bin or the last.
func (h histogram) magnitudes(low, width float64, bins int) []float64 {
	shares := make([]float64, bins)
	for i, n := range h.counts {
		if n == 0 || i == 0 {
			continue
		}
		bin := 0
		if middle := math.Abs(h.limits[i-1]+h.limits[i]) / 2; middle > 0 {
			bin = min(bins-1, max(0, int((math.Log10(middle)-low)/width)))
		}
		shares[bin] += n / h.num
	}
	return shares
}
