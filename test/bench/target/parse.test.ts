import { describe, expect, it } from 'vitest';
import { parseTarget } from './parse.ts';

const isSocket = (path: string): boolean => path.endsWith('.sock');
const parse = (text: string) => parseTarget(text, isSocket);

describe('a target', () => {
  it('is a folder of programs, or addresses with or without keys', () => {
    expect(parse('bin=x,name=reference')).toEqual({ label: 'reference', bin: 'x' });
    for (const folder of ['./x', '/opt/x', 'bin']) expect(parse(folder)).toEqual({ label: folder, bin: folder });
    expect(parse('server=a:1,admin=unix:///s.sock,agent=/a.sock')).toEqual({
      ...{ label: 'a:1', server: 'a:1', admin: '/s.sock', agent: '/a.sock' },
    });
    expect(parse('[::1]:8081,/s.sock,unix:/a')).toEqual({
      ...{ label: '[::1]:8081', server: '[::1]:8081', sockets: ['/s.sock', '/a'] },
    });
  });

  it.each([
    ['', /needs bin=DIR/],
    ['name=x', /needs bin=DIR/],
    ['127.0.0.1:8081', /needs admin=SOCKET/],
    ['agent=/a.sock', /needs admin=SOCKET/],
    ['server=8081,admin=/s.sock', /not host:port/],
    ['bin=x,admin=/s.sock', /starts programs itself/],
    ['bin=', /bin has no value/],
    ['bin=a,bin=b', /bin is given twice/],
    ['socket=/s.sock', /unknown key socket; known are bin, server, admin, agent, name/],
  ])('%o is refused by what is wrong with it', (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });
});
