// JSON, as RFC 8259 has it: a reader that keeps the first problem of a document, and quoting.

const DEPTH = 128;

export const enum Type { Nothing, Null, Bool, Number, String, Array, Object }

class Document {
  problem: string | null = null;
}

/** A value. Reading goes on after something was wrong; the first thing is kept: ask once at the end. */
export class Value {
  type: Type = Type.Nothing;
  whole: bool = false;
  truth: bool = false;
  integer: i64 = 0;
  /** Of a string; of a number, as it was written. */
  text: string = "";
  names: string[] = [];
  elements: Value[] = [];

  constructor(private document: Document) {}

  get problem(): string | null {
    return this.document.problem;
  }

  note(problem: string): void {
    if (this.document.problem === null) this.document.problem = problem;
  }

  has(field: string): bool {
    const at = this.names.indexOf(field);
    return at >= 0 && this.elements[at].type != Type.Null;
  }

  any(field: string): Value {
    if (this.type != Type.Object) {
      this.note(`expected an object with a field "${field}"`);
      return new Value(this.document);
    }
    const at = this.names.indexOf(field);
    if (at < 0) {
      this.note(`missing field "${field}"`);
      return new Value(this.document);
    }
    if (this.names.indexOf(field, at + 1) >= 0) this.note(`duplicate field "${field}"`);
    return this.elements[at];
  }

  string(field: string): string {
    const value = this.any(field);
    if (value.type != Type.String) this.note(`field "${field}" is not a string`);
    return value.type == Type.String ? value.text : "";
  }

  integer64(field: string, least: i64 = i64.MIN_VALUE, most: i64 = i64.MAX_VALUE): i64 {
    const value = this.any(field);
    if (value.type != Type.Number || !value.whole) this.note(`field "${field}" is not an integer`);
    else if (value.integer < least || value.integer > most) {
      this.note(`field "${field}" is ${value.text}, expected ${least} to ${most}`);
    } else return value.integer;
    return 0;
  }

  array(field: string): Value[] {
    const value = this.any(field);
    if (value.type != Type.Array) this.note(`field "${field}" is not an array`);
    return value.type == Type.Array ? value.elements : [];
  }
}

class Reader {
  at: i32 = 0;
  depth: i32 = 0;
  document: Document = new Document();

  constructor(public text: string) {}

  wrong(what: string): bool {
    if (this.document.problem === null) {
      const problem = this.at < this.text.length ? what : "unexpected end";
      this.document.problem = `${problem} at character ${this.at + 1}`;
    }
    return false;
  }

  space(): void {
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at);
      if (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d) return;
      this.at++;
    }
  }

  take(c: string): bool {
    if (!this.text.startsWith(c, this.at)) return false;
    this.at += c.length;
    return true;
  }

  digits(): bool {
    const begin = this.at;
    while (this.at < this.text.length && this.text.charCodeAt(this.at) >= 0x30 && this.text.charCodeAt(this.at) <= 0x39) {
      this.at++;
    }
    return this.at > begin;
  }

  escape(): string | null {
    const c = this.text.charAt(this.at++);
    if (c == "n") return "\n";
    if (c == "t") return "\t";
    if (c == "r") return "\r";
    if (c == "b") return "\b";
    if (c == "f") return "\f";
    if (c == '"' || c == "\\" || c == "/") return c;
    if (c != "u" || this.at + 4 > this.text.length) return null;
    const digits = this.text.substr(this.at, 4);
    for (let i = 0; i < 4; i++) if (!"0123456789abcdefABCDEF".includes(digits.charAt(i))) return null;
    this.at += 4;
    return String.fromCharCode(<i32>parseInt(digits, 16));
  }

  string(): string | null {
    if (!this.take('"')) return this.wrong("expected a string") ? "" : null;
    const parts: string[] = [];
    let begin = this.at;
    while (this.at < this.text.length) {
      const c = this.text.charCodeAt(this.at);
      if (c < 0x20) break;
      if (c == 0x22) {
        parts.push(this.text.slice(begin, this.at++));
        return parts.join("");
      }
      if (c == 0x5c) {
        parts.push(this.text.slice(begin, this.at++));
        const escaped = this.escape();
        if (escaped === null) break;
        parts.push(escaped);
        begin = this.at;
      } else this.at++;
    }
    return this.wrong("invalid string") ? "" : null;
  }

  number(value: Value): bool {
    const begin = this.at;
    const negative = this.take("-");
    let whole = true;
    if (!this.take("0") && !this.digits()) return this.wrong("expected a value");
    const end = this.at;
    if (this.take(".")) {
      whole = false;
      if (!this.digits()) return this.wrong("invalid number");
    }
    if (this.take("e") || this.take("E")) {
      whole = false;
      if (!this.take("+")) this.take("-");
      if (!this.digits()) return this.wrong("invalid number");
    }
    value.type = Type.Number;
    value.text = this.text.slice(begin, this.at);
    // Downwards, since there is one number more below 0 than above.
    let integer: i64 = 0;
    for (let i = begin + (negative ? 1 : 0); i < end && whole; i++) {
      const digit: i64 = this.text.charCodeAt(i) - 0x30;
      if (integer < (i64.MIN_VALUE + digit) / 10) whole = false;
      else integer = integer * 10 - digit;
    }
    if (!negative && integer == i64.MIN_VALUE) whole = false;
    value.integer = negative ? integer : -integer;
    value.whole = whole;
    return true;
  }

  elements(value: Value, closing: string): bool {
    this.space();
    if (this.take(closing)) return true;
    while (true) {
      this.space();
      if (value.type == Type.Object) {
        const name = this.string();
        if (name === null) return false;
        value.names.push(name);
        this.space();
        if (!this.take(":")) return this.wrong("expected `:`");
      }
      const element = new Value(this.document);
      if (!this.value(element)) return false;
      value.elements.push(element);
      this.space();
      if (this.take(closing)) return true;
      if (!this.take(",")) return this.wrong("expected `,` or `" + closing + "`");
    }
    return false;
  }

  value(value: Value): bool {
    this.space();
    if (++this.depth > DEPTH) return this.wrong("values are nested too deeply");
    let fine = true;
    if (this.take("{")) {
      value.type = Type.Object;
      fine = this.elements(value, "}");
    } else if (this.take("[")) {
      value.type = Type.Array;
      fine = this.elements(value, "]");
    } else if (this.text.startsWith('"', this.at)) {
      value.type = Type.String;
      const text = this.string();
      fine = text !== null;
      if (text !== null) value.text = text;
    } else if (this.take("null")) value.type = Type.Null;
    else if (this.take("true")) {
      value.type = Type.Bool;
      value.truth = true;
    } else if (this.take("false")) value.type = Type.Bool;
    else fine = this.number(value);
    this.depth--;
    return fine;
  }
}

export function parse(text: string): Value {
  const reader = new Reader(text);
  const value = new Value(reader.document);
  let fine = reader.value(value);
  reader.space();
  if (fine && reader.at < text.length) fine = reader.wrong("unexpected text behind the value");
  return fine ? value : new Value(reader.document);
}

/** A JSON string of a text. */
export function quote(text: string): string {
  const parts: string[] = ['"'];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c == 0x22 || c == 0x5c) parts.push("\\" + text.charAt(i));
    else if (c < 0x20) parts.push("\\u" + c.toString(16).padStart(4, "0"));
    else parts.push(text.charAt(i));
  }
  parts.push('"');
  return parts.join("");
}
