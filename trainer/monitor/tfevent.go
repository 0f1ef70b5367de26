// TensorBoard's event files: the protocol buffers Event and Summary, and the frame around each (tensorflow's event.proto,
// summary.proto and record_writer). docs/format.md gives them to the byte.

package monitor

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is CRC-32C, rotated and offset so that the checksum of data that holds checksums stays a good one.
func maskedCRC(b []byte) uint32 {
	crc := crc32.Checksum(b, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// appendFramed appends one record: length, its checksum, the data, its checksum; all little-endian.
func appendFramed(dst, data []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(data)))
	dst = binary.LittleEndian.AppendUint32(dst, maskedCRC(dst[start:]))
	dst = append(dst, data...)
	return binary.LittleEndian.AppendUint32(dst, maskedCRC(data))
}

// The numbers of the fields used, by message.
const (
	eventWallTime, eventStep, eventFileVersion, eventSummary, eventSessionLog, eventSource = 1, 2, 3, 5, 7, 10

	summaryValue                                                  = 1
	valueTag, valueSimple, valueHistogram, valueTensor, valueMeta = 1, 2, 5, 8, 9
	metaPlugin, metaDataClass                                     = 1, 4
	pluginName, pluginContent                                     = 1, 2
	tensorDType, tensorShape, tensorString                        = 1, 2, 8
	shapeDim                                                      = 2
	sessionStatus                                                 = 1
	sourceWriter                                                  = 1

	dtFloat         = 1 // DataType.DT_FLOAT
	dtString        = 7 // DataType.DT_STRING
	dataClassTensor = 2 // DataClass.DATA_CLASS_TENSOR
	sessionStart    = 1 // SessionLog.START
)

// appendEvent appends an Event's time and step; what it is about follows.
func appendEvent(dst []byte, at time.Time, step int64) []byte {
	dst = appendDouble(dst, eventWallTime, seconds(at))
	if step != 0 {
		dst = appendVarint(dst, eventStep, uint64(step))
	}
	return dst
}

// fileVersionEvent must be the first of a file.
func fileVersionEvent(at time.Time) []byte {
	event := appendEvent(nil, at, 0)
	event = appendBytes(event, eventFileVersion, "brain.Event:2")
	return appendBytes(event, eventSource, appendBytes(nil, sourceWriter, "frugal"))
}

// startEvent tells the reader that a session begins which writes step and what follows: what earlier files hold of these
// steps is void.
func startEvent(at time.Time, step int64) []byte {
	return appendBytes(appendEvent(nil, at, step), eventSessionLog, appendVarint(nil, sessionStatus, sessionStart))
}

// summaryEvent is an Event with the given values.
func summaryEvent(at time.Time, step int64, values [][]byte) []byte {
	var summary []byte
	for _, value := range values {
		summary = appendBytes(summary, summaryValue, value)
	}
	return appendBytes(appendEvent(nil, at, step), eventSummary, summary)
}

// scalarValue is a Summary.Value for the SCALARS tab.
func scalarValue(tag string, x float32) []byte {
	value := appendBytes(nil, valueTag, tag)
	value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
	return protowire.AppendFixed32(value, math.Float32bits(x))
}

// textValue is a Summary.Value for the TEXT tab, which reads it as Markdown.
func textValue(tag, markdown string) []byte {
	value := appendBytes(nil, valueTag, tag)
	tensor := appendVarint(nil, tensorDType, dtString)
	tensor = appendBytes(tensor, tensorShape, "") // no dimension: one string, not a table of them
	tensor = appendBytes(tensor, tensorString, markdown)
	value = appendBytes(value, valueTensor, tensor)
	meta := appendBytes(nil, metaPlugin, appendBytes(nil, pluginName, "text"))
	return appendBytes(value, valueMeta, appendVarint(meta, metaDataClass, dataClassTensor))
}

func seconds(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }

func appendDouble(dst []byte, field protowire.Number, x float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(dst, field, protowire.Fixed64Type), math.Float64bits(x))
}

func appendVarint(dst []byte, field protowire.Number, x uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), x)
}

func appendBytes[T string | []byte](dst []byte, field protowire.Number, data T) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), string(data))
}
