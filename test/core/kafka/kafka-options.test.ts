import { expect, test } from '@jest/globals';
import { systemClock } from '../../../core/clock.ts';
import { loadSettings } from '../../../core/config.ts';
import { brokerAddress, kafkaOptionsOf } from '../../../core/kafka/kafka-options.ts';
import { silentLogger } from '../../../core/logger.ts';
import { commonSettings } from '../../../core/settings.ts';

const settingsOf = (flags: Record<string, unknown>) =>
  loadSettings(commonSettings, { flags, env: {}, knownElsewhere: new Set() }).values;
const optionsOf = (flags: Record<string, unknown>, env: Record<string, string> = {}) =>
  kafkaOptionsOf(settingsOf(flags), env, silentLogger, systemClock);

test('brokers are host:port, also with an IPv6 address', () => {
  expect(brokerAddress('kafka-1.example:9092')).toEqual({ host: 'kafka-1.example', port: 9092 });
  expect(brokerAddress('[::1]:9092')).toEqual({ host: '::1', port: 9092 });
  for (const wrong of ['kafka', 'kafka:', 'kafka:0', 'kafka:70000', '::1:9092', 'a:b:1']) {
    expect(() => brokerAddress(wrong)).toThrow(expect.objectContaining({ code: 'SETTING_INVALID' }));
  }
});

test('without brokers, with half a client certificate or half of SASL it says what to set', () => {
  expect(() => optionsOf({})).toThrow('HOLDFAST_KAFKA_BROKERS');
  const brokers = ['k:1'];
  expect(() => optionsOf({ kafkaBrokers: brokers, kafkaTls: true, kafkaTlsCert: 'c.pem' })).toThrow('needed together');
  expect(() => optionsOf({ kafkaBrokers: brokers, kafkaTls: true, kafkaTlsCa: '/nowhere.pem' })).toThrow('kafkaTlsCa');
  expect(() => optionsOf({ kafkaBrokers: brokers, kafkaSaslMechanism: 'plain' })).toThrow('kafkaSaslUsername');
});

test('the password is read now and never printed', () => {
  const options = optionsOf(
    { kafkaBrokers: ['k:1'], kafkaSaslMechanism: 'scram-sha-512', kafkaSaslUsername: 'u', kafkaSaslPassword: 'env:P' },
    { P: 'secret' },
  );
  expect(options.sasl?.password.reveal()).toBe('secret');
  expect(JSON.stringify(options.sasl)).not.toContain('secret');
});
