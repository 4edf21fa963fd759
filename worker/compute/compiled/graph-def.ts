/**
 * A graph as the bytes of a SavedModel: the part of TensorFlow's protocol buffers that one graph
 * without variables, functions or signatures needs. Field numbers are TensorFlow's.
 *
 * The same graph gives the same bytes.
 */
import protobuf from 'protobufjs';
import { type Attribute, type GraphNode, typeNumbers } from './graph.ts';

const schema = `
syntax = "proto3";
package tensorflow;
message TensorShapeProto {
  message Dim { int64 size = 1; }
  repeated Dim dim = 2;
}
message TensorProto {
  int32 dtype = 1;
  TensorShapeProto tensor_shape = 2;
  bytes tensor_content = 4;
}
message AttrValue {
  message ListValue { repeated int64 i = 3 [packed = true]; }
  oneof value {
    ListValue list = 1;
    bytes s = 2;
    int64 i = 3;
    float f = 4;
    bool b = 5;
    int32 type = 6;
    TensorShapeProto shape = 7;
    TensorProto tensor = 8;
  }
}
message NodeDef {
  string name = 1;
  string op = 2;
  repeated string input = 3;
  map<string, AttrValue> attr = 5;
}
message VersionDef { int32 producer = 1; }
message GraphDef {
  repeated NodeDef node = 1;
  VersionDef versions = 4;
}
message MetaInfoDef { repeated string tags = 4; }
message MetaGraphDef {
  MetaInfoDef meta_info_def = 1;
  GraphDef graph_def = 2;
}
message SavedModel {
  int64 saved_model_schema_version = 1;
  repeated MetaGraphDef meta_graphs = 2;
}`;

/** The tag under which the graph is loaded. */
export const graphTag = 'serve';

/** Version of the operations' meaning; any TensorFlow since 2.12 takes it. */
const graphProducer = 1395;

const savedModel = protobuf
  .parse(schema, { keepCase: true })
  .root.lookupType('tensorflow.SavedModel');

export function encodeGraph(nodes: readonly GraphNode[]): Uint8Array {
  const message = savedModel.create({
    saved_model_schema_version: 1,
    meta_graphs: [
      {
        meta_info_def: { tags: [graphTag] },
        graph_def: { versions: { producer: graphProducer }, node: nodes.map(nodeDef) },
      },
    ],
  });
  return savedModel.encode(message).finish();
}

function nodeDef({ name, op, inputs, attributes }: GraphNode): object {
  const attr = Object.fromEntries(
    Object.entries(attributes).map(([key, attribute]) => [key, attrValue(attribute)]),
  );
  return { name, op, input: inputs, attr };
}

function attrValue(attribute: Attribute): object {
  switch (attribute.kind) {
    case 'type':
      return { type: typeNumbers[attribute.type] };
    case 'bool':
      return { b: attribute.value };
    case 'int':
      return { i: attribute.value };
    case 'float':
      return { f: attribute.value };
    case 'text':
      return { s: new TextEncoder().encode(attribute.value) };
    case 'ints':
      return { list: { i: attribute.values } };
    case 'shape':
      return { shape: shapeProto(attribute.shape) };
    case 'tensor':
      return {
        tensor: {
          dtype: typeNumbers[attribute.type],
          tensor_shape: shapeProto(attribute.shape),
          tensor_content: attribute.bytes,
        },
      };
  }
}

function shapeProto(shape: readonly number[]): object {
  return { dim: shape.map((size) => ({ size })) };
}
